# Sends the events of a game to a PlaySmart gateway. Copy this file; it needs no addon.
#
# `track` writes an event to a file and returns; `_process` sends the files, a step a frame. So a
# game that is killed or offline loses nothing, and each event is stored once: a request names the
# run that tracked its events (one life of the game) and the number of the first, and what comes
# twice is known.
#
# Files, all in one folder: `<run>-<number of the first event>.ndjson`, on the first line what a
# request says of the player, then an event a line. A file is at most one request, and is deleted
# when the gateway has it. Names sort by time. `rejected/` has the last 100 events that the gateway
# will never take; `opted-out` says that nothing is to be kept. Tokens are never written or printed.
#
# There is a twin for Godot 4. The two are the same down to the last part, which has what the two
# versions call differently.
extends Node

# A token of this player is needed: answer with `give_token`, now or later. Until then the player's
# events wait. It comes at first, and again when the gateway has refused the last.
signal token_needed(user_id)
# A flush is over: how many events the gateway took, and its last status; null if it was not asked.
signal flushed(sent, status)

const VERSION = "1.0.0"
const FILE_EVENTS = 100
const FILE_BYTES = 48000
const FLUSH_EVENTS = 50
const GZIP_FROM_BYTES = 1000
const ANSWER_BYTES = 1000000
const ANSWER_SECONDS = 15.0
const LOOK_BYTES = 1000000
const REJECTED_FILES = 100
const REASON_CHARACTERS = 200
const CLOCK_SECONDS = 60
const FRONT_SECONDS = 60.0
const BACKGROUND_SECONDS = 900.0
const HOUR_SECONDS = 3600.0
const DEEPEST = 32
const MOST_BRACKETS = 1000
const REMEMBERED_TEXTS = 500
const REMEMBERED_LENGTH = 40
const URL = "^(https?)://([A-Za-z0-9._~-]+|\\[[0-9A-Fa-f:.]+\\])(:[0-9]{1,5})?(/[!$->@-~]*)?\\z"
const MONTHS = "JanFebMarAprMayJunJulAugSepOctNovDec"

# With it each batch has a line of what became of it; no line has a token or an event in it.
var prints_batches = false
# Waits after failures, and for an answer, are this much shorter, for tests.
var hurry = 1.0
var folder = "user://playsmart"
var run = ""
var opted_out = true
var settings = {
	"enabled": true,
	"has_gzip": true,
	"flush_seconds": 30.0,
	"max_queue_bytes": 10485760,
	"sample": {},
}

var _head = {}
var _url = {}
var _http = HTTPClient.new()
# the file that is written
var _path = ""
var _next = 0
var _events = 0
var _bytes = 0
var _room = 0
var _fresh = 0
var _drift = 0.0
var _share = 0.0
# what is known of the gateway
var _tokens = {}
var _refused = {}
var _asked_in_vain = {}
var _answered = {}
var _failures = 0
var _most_pause = FRONT_SECONDS
var _quiet_until = -1.0
var _settings_due = -1.0
var _server_ahead = null
# the flush that is under way
var _is_busy = false
var _is_asking = false
var _wakes = false
var _due = 0.0
var _sent = 0
var _status = null
var _passes = 0
var _seen = {}
var _waiting = []
var _segment = null
var _request = null
var _noted = null
var _body = PoolByteArray()
var _deadline = 0.0
var _quotes = {}


# Begin to track and to send for a player; `to_folder` is where events wait. Call it once, before
# all else. ERR_INVALID_PARAMETER: `url` is none of a gateway, `http(s)://HOST` with a port and a
# path if need be. ERR_ALREADY_IN_USE: it was called before.
func begin(url, user_id, game_id, app_version = "", to_folder = folder):
	if not _url.empty():
		return ERR_ALREADY_IN_USE
	_url = _address(str(url))
	if _url.empty():
		push_error("the url of a gateway is http://HOST or https://HOST")
		return ERR_INVALID_PARAMETER
	folder = str(to_folder)
	var program = {"name": "playsmart-godot", "version": VERSION, "platform": OS.get_name()}
	if str(app_version) != "":
		program["app_version"] = str(app_version)
	_head = {"user_id": str(user_id), "game_id": str(game_id), "client": program}
	opted_out = _exists(folder + "/opted-out")
	_begin_run()
	return OK


# Keep an event: `type`, `customdata` (a Dictionary), and `customEventName` if it is `Custom`. What
# is no JSON, or does not get on the disk, is dropped with a warning.
func track(kind, data = null, event_name = ""):
	var is_data = data == null or typeof(data) == TYPE_DICTIONARY
	var event = {"type": kind}
	if data:
		event["customdata"] = data
	if event_name:
		event["customEventName"] = event_name
	var line = _json(event, 0) if is_data else ""
	if line == "" or _url.empty():
		push_warning("an event is lost: it is no JSON, or begin was not called")
		return
	if abs(_wall() - _monotonic() - _drift) > CLOCK_SECONDS:
		_begin_run()
	var sample = settings["sample"]
	var share = sample.get(event_name if event_name else kind, sample.get(kind, 1.0))
	if opted_out or _share >= share:
		return
	_most_pause = FRONT_SECONDS
	_fresh += 1
	_append('{"timestamp":"%s",%s\n' % [_now(), line.substr(1, line.length())])
	if _fresh >= FLUSH_EVENTS:
		_wakes = true


# Answer `token_needed`. A token that no header can have is refused with a warning.
func give_token(user_id, token):
	var text = token.strip_edges() if typeof(token) == TYPE_STRING else ""
	if not _is_made_of(text, 33, 126):
		push_warning("what was given is no token")
		return
	_tokens[user_id] = text
	_wakes = _wakes or not _is_asking


# Send what waits, oldest first, unless the gateway said to wait; `flushed` is emitted at the end.
func flush():
	_wakes = _is_busy
	if _is_busy:
		return
	_fresh = 0
	_asked_in_vain.clear()
	_sent = 0
	_status = null
	_passes = 0
	_seen.clear()
	_waiting.clear()
	_is_busy = true
	if _url.empty() or opted_out or _monotonic() < _quiet_until:
		_end()
	elif _monotonic() < _settings_due:
		_go_on()
	else:
		_segment = null
		_ask(HTTPClient.METHOD_GET, "/v1/app-settings", [], PoolByteArray())


# Whether a flush is under way.
func is_busy():
	return _is_busy


# Send what waits, as the game may end; until it tracks again, try less often.
func background():
	_most_pause = BACKGROUND_SECONDS
	flush()


# Send what waits for at most so many seconds, while which nothing else happens; what takes longer
# is sent at the next start. In a browser nothing can wait, so there this is `background`.
func close(seconds = 1.0):
	background()
	var until = _monotonic() + seconds
	while _is_busy and _monotonic() < until and not OS.has_feature("web"):
		poll()
		OS.delay_msec(5)


# Track for another player. What the last one did is sent with their own token only.
func change_player(user_id):
	_head["user_id"] = str(user_id)
	_begin_run()


# Delete what waits, and keep and send nothing more, also after a restart.
func opt_out():
	opted_out = true
	_close()
	_answered.clear()
	if _is_busy:
		_end()  # or an answer might bring back what is deleted
	if not (_make_folder(folder) and _store(folder + "/opted-out", PoolByteArray())):
		push_warning("the opt-out holds until a restart")
	for each in [folder, folder + "/rejected"]:
		for path in _queue_files(each):
			if not _remove(path):
				push_warning("not deleted: " + path)


# Track again, in a new run.
func opt_in():
	_remove(folder + "/opted-out")
	opted_out = _exists(folder + "/opted-out")
	_begin_run()


# Return the gateway's time in seconds since 1970, which the phone's clock does not change; 0
# before its first answer.
func server_time():
	return 0 if _server_ahead == null else int(_monotonic() + _server_ahead)


# Go a step on with what is under way, or begin when it is time. `_process` calls it.
func poll():
	if _is_busy:
		var answer = _poll_exchange()
		if answer != null:
			_request = null
			_on_answer(answer)
	elif not _url.empty() and (_wakes or _monotonic() >= _due):
		flush()


func _process(_delta):
	poll()


# --- the queue


func _begin_run():
	_close()
	run = _new_run()
	_next = 0
	_fresh = 0
	_drift = _wall() - _monotonic()
	var hash_of_run = run.sha256_text()
	_share = 0.0
	for digit in 8:
		_share = (_share + "0123456789abcdef".find(hash_of_run[7 - digit])) / 16.0


# Write one event. If that fails its number is used: the loss is seen.
func _append(line):
	if _events >= FILE_EVENTS or _bytes + line.length() > FILE_BYTES:
		_close()
	var number = _next
	_next += 1
	var is_kept = _path != "" and _add(_path, line.to_utf8())
	if not is_kept and (_path == "" or not _exists(_path)):  # deleted, or sent by another process
		_close()
		var content = _json(_head, 0) + "\n" + line
		var room = max(FILE_BYTES, content.length())
		if _room < room:
			_bound(room)
		_room -= room
		_path = _write_new(run, number, content)
		is_kept = _path != ""
	_events += 1
	_bytes += line.length()
	if not is_kept:
		_close()  # what was torn is the last line of its file
		push_warning("an event is lost: it does not get on the disk")


func _close():
	_path = ""
	_events = 0
	_bytes = 0


func _queue_files(of_folder):
	var found = []
	for each in _files(of_folder):
		if _is_queue_file(each):
			found.append(of_folder + "/" + each)
	found.sort()
	return found


func _is_queue_file(file):
	var stem = file.trim_suffix(".tmp")
	if not stem.ends_with(".ndjson") or stem.length() < 52 or stem[36] != "-":
		return false
	var hex = stem.substr(0, 36).replace("-", "")
	var digits = stem.substr(37, stem.length() - 44)
	return hex.is_valid_hex_number() and hex == hex.to_lower() and _is_made_of(digits, 48, 57)


# Return what is in a file, null if it is gone, cannot be read, or is none and was set aside.
func _read(path):
	var size = _size(path)
	var text = _load(path)
	if text == null:
		return null
	var lines = Array(text.split("\n"))
	lines.pop_back()  # a kill tore it
	var head = _parse(lines[0]) if lines.size() > 1 else null
	var is_head = typeof(head) == TYPE_DICTIONARY and typeof(head.get("user_id")) == TYPE_STRING
	if not is_head or _json(head, 0) == "":
		push_warning("cannot be read, and is set aside: " + path)
		_set_aside(path)
		return null
	lines.pop_front()
	var name_of = path.get_file()
	var first = int(name_of.substr(37, name_of.length() - 44))
	return {
		"path": path,
		"run": name_of.substr(0, 36),
		"first": first,
		"head": head,
		"lines": lines,
		"size": size,
	}


# Cut a file in two. First the copy: a kill in between leaves a repeat, and no hole.
func _halve(segment):
	var halves = []
	var lines = segment["lines"]
	var middle = int(lines.size() / 2.0)
	for part in [[middle, lines.size()], [0, middle]]:
		var content = _json(segment["head"], 0) + "\n"
		for i in range(part[0], part[1]):
			content += lines[i] + "\n"
		var path = _write_new(segment["run"], segment["first"] + part[0], content)
		if path == "":
			return []
		halves.push_front(path)
	return halves


# Keep what will never be taken, for somebody to look at; false if that cannot be.
func _set_aside(path):
	var aside = folder + "/rejected"
	if not (_make_folder(aside) and _rename(path, aside + "/" + path.get_file())):
		return false
	var files = _queue_files(aside)
	while files.size() > REJECTED_FILES:
		_remove(files.pop_front())
	return true


# Delete the oldest files until there is room; look again after a MB, there may be more.
func _bound(room):
	var total = 0
	var sizes = {}
	for path in _queue_files(folder):
		sizes[path] = max(0, _size(path))
		total += sizes[path]
	for path in sizes:
		if total <= settings["max_queue_bytes"] - room:
			break
		if sizes[path] > 0 and _remove(path):
			push_warning("the queue is full: lost is " + path)
			total -= sizes[path]
	_room = min(settings["max_queue_bytes"] - total, LOOK_BYTES)


# Write a file that is there whole or not at all; return its path, "" if it is not.
func _write_new(of_run, first, content):
	var path = "%s/%s-%08d.ndjson" % [folder, of_run, first]
	var tmp = path + ".tmp"
	if _make_folder(folder) and _store(tmp, content.to_utf8()):
		if _rename(tmp, path):
			return path
	_remove(tmp)
	return ""


# --- a flush


func _go_on():
	while _is_busy and settings["enabled"] and _has_more():
		var path = _waiting.pop_front()
		_segment = _read(path)
		if _segment == null:
			continue
		var head = _segment["head"]
		var answer = _answered.get(path)
		var token = _token(head["user_id"]) if answer == null else ""
		if answer != null:
			_answered.erase(path)
			if not _settle(answer, ""):
				break
		elif token != "" and _is_busy:
			_post(token)
			return
	if _is_busy:
		_end()


# Find files twice, the second time with the one that is written: meanwhile the game may track on.
func _has_more():
	while _waiting.empty() and _passes < 2:
		if _passes == 1:
			_close()
		for path in _queue_files(folder):
			if path != _path and path.ends_with(".ndjson") and not _seen.has(path):
				_seen[path] = true
				_waiting.append(path)
		_passes += 1
	return not _waiting.empty()


func _end():
	_http.close()
	_is_busy = false
	var quiet = _quiet_until - _monotonic()
	_due = _monotonic() + (quiet if quiet > 0 else settings["flush_seconds"])
	emit_signal("flushed", _sent, _status)


func _on_answer(answer):
	if _segment == null:
		if answer["told"] != null or answer["status"] == 404:
			_settings_due = _monotonic() + HOUR_SECONDS
			_take_settings(answer)
		_go_on()
	elif _settle(answer, _tokens.get(_segment["head"]["user_id"], "")):
		_go_on()
	else:
		_end()


# Do with the file what its answer says; return whether to go on.
func _settle(answer, token):
	var before = _waiting.size()
	var what = _settled(answer, token)
	if what == "stored":
		_sent += _segment["lines"].size()
	if answer["status"] > 0:
		_status = answer["status"]
	var count = _segment["lines"].size()
	var counted = "1 event" if count == 1 else str(count) + " events"
	var why = _why(answer) if what == "set aside" else ""
	var of = [_segment["path"].get_file(), counted, answer["status"], what, why]
	if what == "not done" or what == "set aside":
		push_warning("%s, %s: %d, %s%s" % of)
	elif prints_batches:
		print("%s, %s: %d, %s%s" % of)
	if what == "not done":
		_answered[_segment["path"]] = answer
		_pause(null)
	return not what.begins_with("kept")


func _settled(answer, token):
	var path = _segment["path"]
	var status = answer["status"]
	var what = ""
	var success = _said(answer["told"], "success")
	if status == 202 and typeof(success) == TYPE_BOOL and success:
		what = _settled_as_stored(path)
	elif status == 413 or (status in [400, 422] and _said(answer["told"], "error") != null):
		what = _settled_as_refused(path)
	elif status == 415 and settings["has_gzip"]:
		settings["has_gzip"] = false
		_waiting.push_front(path)
		what = "once more, as it is"
	elif status in [401, 403]:
		var user_id = _segment["head"]["user_id"]
		var earlier = _refused.get(user_id, [token])[0]  # a second one: wait with any
		_refused[user_id] = [token if token == earlier else "", _monotonic() + _longer()]
		_tokens.erase(user_id)
		_waiting.push_front(path)
		what = "waits for another token"
	else:
		var told = HOUR_SECONDS if status in [404, 405, 410, 415] else answer["wait"]
		what = "kept, next try in %.1f s" % _pause(told)  # what is younger does not overtake it
	return what


func _settled_as_stored(path):
	_refused.erase(_segment["head"]["user_id"])
	if _size(path) > _segment["size"]:
		return "written by another process, and sent again later"
	if not _remove(path):
		return "not done"
	_failures = 0
	return "stored"


func _settled_as_refused(path):
	if _segment["lines"].size() == 1:
		return "set aside" if _set_aside(path) else "not done"
	var halves = _halve(_segment)
	_waiting = halves + _waiting
	return "halved" if not halves.empty() else "not done"


# Return how long to wait after one more failure, in seconds.
func _longer():
	_failures = min(_failures + 1, 16)
	return randf() * min(_most_pause, pow(2, _failures)) / hurry


# Send nothing for a while, as long as was told; return the seconds.
func _pause(told):
	var longer = _longer()
	var pause = longer if told == null else told
	_quiet_until = _monotonic() + pause
	return pause


# Return a token to try; "" if there is none but one that was refused a moment ago.
func _token(user_id):
	if _asked_in_vain.has(user_id):
		return ""
	var refused = _refused.get(user_id, ["", -1.0])
	var waits = _monotonic() < refused[1]
	if not _tokens.has(user_id) and not (waits and refused[0] == ""):
		_is_asking = true
		emit_signal("token_needed", user_id)
		_is_asking = false
	var token = _tokens.get(user_id, "")
	if waits and (refused[0] == "" or token == refused[0]):
		_tokens.erase(user_id)
		token = ""
	if token == "":
		_asked_in_vain[user_id] = true  # nothing of theirs overtakes what waits
	return token


func _take_settings(answer):
	if answer["status"] == 404:  # a gateway from before there were settings and gzip
		settings["has_gzip"] = false
		return
	var told = answer["told"]
	for key in ["data", 0, "ingest"]:
		var wanted = TYPE_ARRAY if typeof(key) == TYPE_INT else TYPE_DICTIONARY
		if typeof(told) != wanted or told.empty():
			return
		told = told[0] if wanted == TYPE_ARRAY else told.get(key, {})
	if typeof(told) != TYPE_DICTIONARY:
		return
	var seconds = told.get("flush_seconds", 30.0)
	var most_bytes = told.get("max_queue_bytes", 10485760.0)
	var encodings = told.get("encodings", [])
	var sample = told.get("sample", {})
	if typeof(encodings) != TYPE_ARRAY or typeof(sample) != TYPE_DICTIONARY:
		return
	for number in [seconds, most_bytes] + sample.values():
		if not typeof(number) in [TYPE_INT, TYPE_REAL] or is_inf(number):
			return
	var enabled = told.get("enabled", true)
	settings["enabled"] = typeof(enabled) != TYPE_BOOL or enabled
	settings["has_gzip"] = "gzip" in encodings
	settings["flush_seconds"] = clamp(seconds, 1.0, HOUR_SECONDS)
	settings["max_queue_bytes"] = int(most_bytes)
	settings["sample"] = sample
	_room = 0  # the bound may be another one


# --- a request and its answer


func _post(token):
	var head = _segment["head"].duplicate()
	head["run"] = _segment["run"]
	head["seq"] = _segment["first"]
	if head["run"] == run:  # of an earlier run the clock may have been another
		head["sent_at"] = _now()
	var top = _json(head, 0)
	var text = (
		top.substr(0, top.length() - 1) + ',"events":[' + _joined(_segment["lines"], ",") + "]}"
	)
	var body = text.to_utf8()
	var headers = ["Content-Type: application/json", "Authorization: Bearer " + token]
	if settings["has_gzip"] and body.size() > GZIP_FROM_BYTES:
		body = _gzip(body)
		headers.append("Content-Encoding: gzip")
	_ask(HTTPClient.METHOD_POST, "/ingest/events", headers, body)


func _ask(method, path, headers, body):
	_request = [method, _url["path"] + path, headers, body]
	_noted = null
	_body = PoolByteArray()
	_deadline = _monotonic() + ANSWER_SECONDS / hurry
	_http.poll()
	if _http.get_status() != HTTPClient.STATUS_CONNECTED:
		_http.close()
		_connect(_http, _url)


# Return the answer, null while it is under way; what is not whole in time has status 0.
func _poll_exchange():
	_http.poll()
	var status = _http.get_status()
	if status == HTTPClient.STATUS_CONNECTED and _request != null:
		var what = _request
		_request = null
		var error = _http.request_raw(what[0], what[1], what[2], what[3])
		status = HTTPClient.STATUS_REQUESTING
		if error != OK:
			status = HTTPClient.STATUS_CONNECTION_ERROR
	elif status == HTTPClient.STATUS_BODY or status == HTTPClient.STATUS_CONNECTED:
		_note_answer()
		status = _read_body()
	var goes_on = [
		HTTPClient.STATUS_RESOLVING,
		HTTPClient.STATUS_CONNECTING,
		HTTPClient.STATUS_REQUESTING,
		HTTPClient.STATUS_BODY,
	]
	var is_long = _body.size() > ANSWER_BYTES
	var is_under_way = status in goes_on and not is_long
	if is_under_way and _monotonic() <= _deadline:
		return null
	if status != HTTPClient.STATUS_CONNECTED or _noted["closes"]:
		_http.close()
	var is_whole = status == HTTPClient.STATUS_CONNECTED or is_long
	if _noted == null or is_under_way or not (is_whole or not _noted["has_length"]):
		return {"status": 0, "told": null, "wait": null}
	_noted["told"] = _parse(_body.get_string_from_utf8())
	return _noted


# Read what has come of a body; return how the connection is then.
func _read_body():
	while _http.get_status() == HTTPClient.STATUS_BODY and _body.size() <= ANSWER_BYTES:
		var chunk = _http.read_response_body_chunk()
		_body.append_array(chunk)
		if chunk.size() == 0:
			break
	return _http.get_status()


# Note the head of an answer as long as it is there: the engine forgets it with the connection.
func _note_answer():
	if _noted != null:
		return
	var has_length = _http.is_response_chunked() or _http.get_response_body_length() >= 0
	_noted = {
		"status": _http.get_response_code(),
		"told": null,
		"wait": null,
		"has_length": has_length,
		"closes": not has_length,
	}
	for header in _http.get_response_headers():
		var colon = header.find(":")
		var value = header.substr(colon + 1, header.length()).strip_edges()
		match header.substr(0, colon).to_lower():
			"connection":
				_noted["closes"] = _noted["closes"] or value.to_lower() == "close"
			"date":
				var seconds = _seconds_of(value)
				_server_ahead = seconds - _monotonic() if seconds > 0 else _server_ahead
			"retry-after":
				if _is_made_of(value, 48, 57):
					_noted["wait"] = min(float(value), HOUR_SECONDS)


# Return what is said under a key; null if nothing is, as by the login page of a hotel.
func _said(told, key):
	return told.get(key) if typeof(told) == TYPE_DICTIONARY else null


# Return what goes behind "set aside" in the log: the first detail of an answer, else its message,
# in a line; and no token, whatever an answer repeats.
func _why(answer):
	var error = _said(answer["told"], "error")
	var reason = _said(error, "message")
	if typeof(reason) != TYPE_STRING:
		return ""
	var details = _said(error, "details")
	if typeof(details) == TYPE_ARRAY and details.size() > 0:
		var path = _said(details[0], "path")
		var rule = _said(details[0], "message")
		if typeof(path) == TYPE_STRING and typeof(rule) == TYPE_STRING:
			reason = (path + " " + rule).strip_edges()
	for token in _tokens.values():
		if reason.find(token) >= 0:
			return ""
	var line = ""
	for letter in reason.substr(0, REASON_CHARACTERS):
		if _is_made_of(letter, 32, 126):
			line += letter
		elif not line.ends_with("?"):
			line += "?"
	return "" if line == "" else ": " + line


# --- texts


func _address(url):
	var pattern = RegEx.new()
	pattern.compile(URL)
	var found = pattern.search(url)
	if found == null:
		return {}
	var port = int(found.get_string(3).substr(1, 5))
	var is_safe = found.get_string(1) == "https"
	if port > 65535 or (port == 0 and found.get_string(3) != ""):
		return {}
	var path = found.get_string(4).trim_suffix("/").trim_suffix("/ingest/events")
	if port == 0:
		port = 443 if is_safe else 80
	var host = found.get_string(2).trim_prefix("[").trim_suffix("]")
	return {"host": host, "port": port, "is_safe": is_safe, "path": path}


# Whether a text has characters with codes from `lowest` to `highest`, and no others.
func _is_made_of(text, lowest, highest):
	for i in text.length():
		if text.ord_at(i) < lowest or text.ord_at(i) > highest:
			return false
	return text != ""


# Return a value as JSON in ASCII; "" if it is none: no number, too deep, or a thing of the engine.
func _json(value, depth):
	var text = ""
	match typeof(value):
		TYPE_NIL:
			text = "null"
		TYPE_BOOL:
			text = "true" if value else "false"
		TYPE_INT:
			text = str(value)
		TYPE_REAL:
			text = "" if is_nan(value) or is_inf(value) else _number(value)
		TYPE_STRING:
			text = _quoted(str(value))
		TYPE_ARRAY, TYPE_DICTIONARY:
			text = _nested(value, depth + 1) if depth < DEEPEST else ""
	return text


func _nested(value, depth):
	var is_list = typeof(value) == TYPE_ARRAY
	var parts = []
	for each in value:
		var part = _json(each if is_list else value[each], depth)
		if part == "":
			return ""
		parts.append(part if is_list else _quoted(str(each)) + ":" + part)
	return ("[%s]" if is_list else "{%s}") % _joined(parts, ",")


# Return a text as JSON has it; short ones are remembered, as they come again and again.
func _quoted(text):
	if _quotes.has(text):
		return _quotes[text]
	var parts = []
	var start = 0
	for i in text.length():
		var code = text.ord_at(i)
		if code < 32 or code > 126 or code == 34 or code == 92:
			parts.append(text.substr(start, i - start) + _escaped(code))
			start = i + 1
	var quoted = '"' + _joined(parts, "") + text.substr(start, text.length()) + '"'
	if text.length() <= REMEMBERED_LENGTH:
		if _quotes.size() >= REMEMBERED_TEXTS:
			_quotes.clear()
		_quotes[text] = quoted
	return quoted


func _escaped(code):
	if code <= 0xFFFF:
		return "\\u%04x" % code
	code -= 0x10000
	return "\\u%04x\\u%04x" % [0xD800 + (code >> 10), 0xDC00 + (code & 0x3FF)]


# Return what a JSON text says; null if it is none, or nested as no gateway does.
func _parse(text):
	if text.split("[").size() + text.split("{").size() > MOST_BRACKETS:
		return null
	return _parsed(text)


# Return a UUID of version 7, which sorts by time.
func _new_run():
	var ms = "%012x" % int(_wall() * 1000)
	var chance = Crypto.new().generate_random_bytes(10)
	var hex = chance.hex_encode()
	var parts = [ms.substr(0, 8), ms.substr(8, 4), hex.substr(0, 3), "89ab"[chance[9] & 3]]
	return "%s-%s-7%s-%s%s-%s" % (parts + [hex.substr(3, 3), hex.substr(6, 12)])


func _now():
	var seconds = _wall()
	var at = _date(int(seconds))
	var parts = [at["year"], at["month"], at["day"], at["hour"], at["minute"], at["second"]]
	return "%04d-%02d-%02dT%02d:%02d:%02d" % parts + ".%03dZ" % (int(seconds * 1000) % 1000)


# Return the seconds since 1970 of a date as it is in a header; 0 if it is none.
func _seconds_of(date):
	var found = date.replace(":", " ").split(" ")
	if found.size() != 8 or found[7] != "GMT":
		return 0
	var parts = {"month": int(MONTHS.find(found[2]) / 3.0) + 1}
	var places = {"day": 1, "year": 3, "hour": 4, "minute": 5, "second": 6}
	for each in places:
		parts[each] = int(found[places[each]])
	return _seconds(parts)


# --- what Godot 3 and 4 call differently


func _init():
	pause_mode = Node.PAUSE_MODE_PROCESS
	randomize()


func _notification(what):
	if what == MainLoop.NOTIFICATION_WM_FOCUS_OUT:
		background()
	elif what == MainLoop.NOTIFICATION_APP_PAUSED or what == MainLoop.NOTIFICATION_WM_QUIT_REQUEST:
		close()


func _wall():
	return OS.get_system_time_msecs() / 1000.0


func _monotonic():
	return OS.get_ticks_msec() / 1000.0


func _date(seconds):
	return OS.get_datetime_from_unix_time(seconds)


func _seconds(date):
	return OS.get_unix_time_from_datetime(date)


func _number(value):
	return JSON.print(value)


func _parsed(text):
	return parse_json(text) if validate_json(text) == "" else null


func _joined(parts, between):
	return PoolStringArray(parts).join(between)


func _gzip(bytes):
	return bytes.compress(File.COMPRESSION_GZIP)


func _connect(http, url):
	http.connect_to_host(url["host"], url["port"], url["is_safe"])


func _exists(path):
	return File.new().file_exists(path)


func _size(path):
	var file = File.new()
	return file.get_len() if file.open(path, File.READ) == OK else -1


func _load(path):
	var file = File.new()
	if file.open(path, File.READ) != OK:
		return null
	return file.get_buffer(file.get_len()).get_string_from_utf8()


# Write a file anew; false if that does not succeed, on a full disk say.
func _store(path, bytes):
	var file = File.new()
	if file.open(path, File.WRITE) != OK:
		return false
	file.store_buffer(bytes)
	return file.get_len() == bytes.size()


# Write at the end of a file that is there. It is closed at once: so a browser keeps it, too.
func _add(path, bytes):
	var file = File.new()
	if file.open(path, File.READ_WRITE) != OK:
		return false
	var size = file.get_len() + bytes.size()
	file.seek_end()
	file.store_buffer(bytes)
	return file.get_len() == size


func _rename(path, to):
	return Directory.new().rename(path, to) == OK


func _remove(path):
	return not _exists(path) or Directory.new().remove(path) == OK


func _make_folder(path):
	return Directory.new().make_dir_recursive(path) == OK


func _files(of_folder):
	var found = []
	var directory = Directory.new()
	if directory.open(of_folder) != OK or directory.list_dir_begin(true) != OK:
		return found
	var name_of = directory.get_next()
	while name_of != "":
		if not directory.current_is_dir():
			found.append(name_of)
		name_of = directory.get_next()
	return found
