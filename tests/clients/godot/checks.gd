# What the client does that no case of conformance sees; a line is printed for each check.
extends SceneTree

const Client = preload("res://playsmart_client.gd")
const URL = "http://127.0.0.1:9"

var _count = 0


func _init():
	for each in get_method_list():
		if each["name"].begins_with("check_"):
			var found = call(each["name"])
			print("\n%s: %s" % [each["name"], "ok" if typeof(found) == TYPE_BOOL else str(found)])
	quit()


func _client():
	_count += 1
	var client = Client.new()
	client.begin(URL, "device-abc-123", "com.example.stackblaster", "1.0", "user://%d" % _count)
	return client


# Return the lines of events in all files of a client, as text.
func _kept(client):
	var lines = []
	for path in client._queue_files(client.folder):
		var found = Array(client._load(path).split("\n"))
		lines += found.slice(1, found.size() - 2)
	return lines


func check_what_is_no_json_is_dropped():
	var circle = {}
	circle["circle"] = circle
	var deep = []
	for _level in 40:
		deep = [deep]
	var client = _client()
	for each in [NAN, INF, Vector2(1, 2), client, circle, deep, [[NAN]]]:
		client.track("AppOpen", {"value": each})
	for each in [7, "text", [1], client, NAN]:
		client.track("AppOpen", each)
	client.track(NAN)
	client.track(client, {}, client)
	client.track("AppOpen", {"after": "all that"})
	var kept = _kept(client)
	circle.clear()
	client.free()
	return true if kept.size() == 1 and '"after":"all that"' in kept[0] else kept


func check_before_it_begins_nothing_is_kept_and_nothing_fails():
	var client = Client.new()
	client.track("AppOpen")
	client.flush()
	client.background()
	client.poll()
	client.change_player("another")
	client.opt_out()
	client.opt_in()
	client.close(0)
	var kept = _kept(client)
	client.free()
	return true if kept == [] else kept


func check_numbers_and_texts_are_written_as_they_are():
	var client = _client()
	client.track("AppOpen", {"id": 9007199254740993, "half": 0.5, "text": '"日\\🎮\t', "key 1": null})
	var kept = _kept(client)[0]
	client.free()
	var wanted = (
		'"customdata":{"id":9007199254740993,"half":0.5,'
		+ '"text":"\\u0022\\u65e5\\u005c\\ud83c\\udfae\\u0009","key 1":null}}'
	)
	return true if kept.ends_with(wanted) else kept


func check_an_address_of_a_gateway_is_taken_apart():
	var client = Client.new()
	var found = []
	for each in ["https://a.example", "http://[::1]:8000/p/", "http://a:80/ingest/events"]:
		var parts = client._address(each)
		found.append([parts["host"], parts["port"], parts["is_safe"], parts["path"]])
	client.free()
	var wanted = [["a.example", 443, true, ""], ["::1", 8000, false, "/p"], ["a", 80, false, ""]]
	return true if found == wanted else found


func check_what_is_no_address_is_refused_at_once():
	var client = Client.new()
	var taken = []
	for each in [
		"",
		"http://",
		"a.example",
		"ftp://a",
		"http://[",
		"http://a:x",
		"http://a:0",
		"http://a:70000",
		"http://a b",
		"http://a/\n",
		"http://ä",
		"http://me@a",
		"http://a?b",
		null,
		7,
	]:
		if client.begin(each, "p", "g") != ERR_INVALID_PARAMETER:
			taken.append(each)
	client.free()
	return true if taken == [] else taken


func check_it_begins_once():
	var client = _client()
	var second = client.begin(URL, "another", "game")
	client.free()
	return true if second == ERR_ALREADY_IN_USE else second


func check_a_token_that_no_header_can_have_is_none():
	var client = _client()
	for each in ["", "a\nb", "a b", "tökén", "a\u0001b", null]:
		client.give_token("p", each)
	var refused = client._tokens.duplicate()
	client.give_token("p", " a.b-c \n")
	var taken = client._tokens.duplicate()
	client.free()
	return true if [refused.hash(), taken.hash()] == [{}.hash(), {"p": "a.b-c"}.hash()] else taken


func check_a_run_is_a_uuid_of_version_7_and_its_share_is_that_of_its_hash():
	var client = _client()
	var run = client.run
	var form = RegEx.new()
	form.compile("^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\\z")
	var is_one = form.search(run) != null
	var digits = run.sha256_text()
	var high = ("0x" + digits.substr(0, 4)).hex_to_int()
	var low = ("0x" + digits.substr(4, 4)).hex_to_int()
	var is_share = is_equal_approx(client._share, (high * 65536.0 + low) / 4294967296.0)
	client.free()
	return true if is_one and is_share else run


func check_to_opt_in_begins_another_run():
	var client = _client()
	client.track("AppOpen")
	var before = client.run
	client.opt_out()
	client.track("AppOpen")
	var kept = _kept(client)
	client.opt_in()
	client.track("AppOpen")
	var after = _kept(client)
	var is_another = client.run != before
	client.free()
	return true if kept == [] and after.size() == 1 and is_another else [kept, after]


func check_to_opt_out_ends_what_is_under_way():
	var client = _client()
	client.track("AppOpen")
	client.flush()
	var was_busy = client.is_busy()
	client.opt_out()
	client.opt_in()
	var is_busy = client.is_busy()
	var status = client._http.get_status()
	client.free()
	var is_ended = not is_busy and status == HTTPClient.STATUS_DISCONNECTED
	return true if was_busy and is_ended else [was_busy, is_busy, status]


func check_where_its_folder_is_deleted_the_next_event_is_kept():
	var client = _client()
	client.track("AppOpen")
	for path in client._queue_files(client.folder):
		client._remove(path)
	client._remove(client.folder)
	client.track("LevelCompleted")
	var kept = _kept(client)
	client.free()
	return true if kept.size() == 1 and "LevelCompleted" in kept[0] else kept


func check_what_nests_as_no_gateway_does_is_not_read():
	var client = Client.new()
	var found = [client._parse("[".repeat(300000)), client._parse('{"a":'.repeat(300000))]
	var plain = client._parse('{"a": [1, {"b": "[[[["}]}')
	client.free()
	return true if found == [null, null] and plain["a"][1]["b"] == "[[[[" else [found, plain]


func check_settings_are_kept_to_and_those_that_cannot_be_read_change_nothing():
	var client = Client.new()
	var before = client.settings.duplicate()
	for each in [
		"[]",
		"7",
		'{"data": 7}',
		'{"data": []}',
		'{"data": [7]}',
		'{"data": [{"ingest": 7}]}',
		'{"data": [{"ingest": {"sample": 7}}]}',
		'{"data": [{"ingest": {"sample": {"a": "x"}}}]}',
		'{"data": [{"ingest": {"flush_seconds": "x"}}]}',
		'{"data": [{"ingest": {"encodings": 7}}]}',
		'{"data": [{"ingest": {"max_queue_bytes": []}}]}',
		'{"data": [{"ingest": {"max_queue_bytes": 1e999}}]}',
	]:
		client._take_settings({"status": 200, "told": client._parse(each), "wait": null})
		if client.settings.hash() != before.hash():
			return each
	var told = '{"data": [{"ingest": {"enabled": false, "flush_seconds": 0, "sample": {"a": 0.5}}}]}'
	client._take_settings({"status": 200, "told": client._parse(told), "wait": null})
	var found = client.settings
	client.free()
	var is_kept = not found["enabled"] and not found["has_gzip"] and found["flush_seconds"] == 1.0
	return true if is_kept and found["sample"]["a"] == 0.5 else found


func check_the_time_of_a_header_is_read():
	var client = Client.new()
	var found = [client._seconds_of("Sun, 29 Nov 2026 15:52:19 GMT"), client._seconds_of("soon")]
	client.free()
	return true if found == [1795967539, 0] else found
