# The client behind standard input, for `playsmart-gateway conformance`; the manual has the protocol,
# under `clients#prove-a-client`. `adapter.sh` starts it.
extends SceneTree

const Client = preload("res://playsmart_client.gd")


# The client, on a phone whose clock somebody may set.
class Phone:
	extends Client
	var ahead = 0.0

	func _wall():
		return ._wall() + ahead


var _client = null
var _user_id = ""
var _token = ""
var _sent = 0
var _status = null
var _heard = ""
var _is_over = false
var _is_alone = false
var _has_heard = false


func _init():
	while not _is_over:
		var line = _line_while_frames_pass() if _is_alone else _line()
		if line == "":
			break
		var answer = _answer(line)
		printraw(JSON.print(answer) + "\n")
	if _client != null:
		_client.free()
	quit()


# Return the next line, "" at the end. The engine reads no standard input: a program does for it.
func _line():
	while _heard.find("\n") < 0:
		var output = []
		OS.execute("dd", ["bs=65536", "count=1", "status=none"], true, output)
		if output.empty() or output[0] == "":
			return ""
		_heard += output[0]
	var end = _heard.find("\n") + 1
	var line = _heard.substr(0, end)
	_heard = _heard.substr(end, _heard.length())
	return line


# Return the next line; until it comes the client goes on, as in a game.
func _line_while_frames_pass():
	_has_heard = false
	var reader = Thread.new()
	reader.start(self, "_hear")
	while not _has_heard:
		_client.poll()
		OS.delay_msec(5)
	return reader.wait_to_finish()


func _hear(_nothing):
	var line = _line()
	_has_heard = true
	return line


func _answer(line):
	var command = parse_json(line)
	match command.get("do"):
		"init":
			_begin(command)
		"track":
			_client.track(command.get("type"), command.get("data"), command.get("name"))
		"alone":
			_is_alone = true
		"flush":
			_wait()
			_client.flush()
			return _wait()
		"token":
			_token = command["token"]
		"background":
			_client.background()
			_wait()
		"optout":
			_client.opt_out()
		"optin":
			_client.opt_in()
		"clock":
			_client.ahead += command["seconds"]
		"state":
			return {
				"ok": true,
				"queued": _queued(),
				"run": _client.run,
				"opted_out": _client.opted_out,
				"disabled": not _client.settings["enabled"],
			}
		"quit":
			_is_over = true
		_:
			return {"ok": false, "error": "unsupported"}
	return {"ok": true}


func _begin(command):
	_user_id = command["user"]
	_token = command["token"]
	if _client != null:
		_client.free()
	_client = Phone.new()
	_client.hurry = command.get("hurry", 1.0)
	_client.connect("token_needed", self, "_on_token_needed")
	_client.connect("flushed", self, "_on_flushed")
	_client.begin(command["url"], _user_id, command["game"], "", command["dir"])


# Let the client go on until its flush is over, as frames do in a game.
func _wait():
	while _client.is_busy():
		_client.poll()
		OS.delay_msec(1)
	return {"ok": true, "sent": _sent, "left": _queued(), "status": _status}


# Count the events that wait: of each file the lines but the first.
func _queued():
	var count = 0
	for path in _client._queue_files(_client.folder):
		var text = _client._load(path)
		count += 0 if text == null or path.ends_with(".tmp") else max(0, text.count("\n") - 1)
	return int(count)


func _on_token_needed(user_id):
	if user_id == _user_id:
		_client.give_token(user_id, _token)


func _on_flushed(sent, status):
	_sent = sent
	_status = status
