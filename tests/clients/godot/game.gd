# A game whose login takes its time, and whose tree is paused. It ends when 53 events are taken.
extends Node

var _taken = 0


func _ready():
	PlaySmart.connect("token_needed", self, "_on_token_needed", [], CONNECT_ONESHOT)
	PlaySmart.connect("flushed", self, "_on_flushed")
	PlaySmart.begin(OS.get_environment("URL"), "device-abc-123", "com.example.stackblaster")
	get_tree().paused = true
	for i in 3:
		PlaySmart.track("AppOpen", {"n": i})


func _on_token_needed(user_id):
	yield(get_tree().create_timer(0.2), "timeout")
	PlaySmart.give_token(user_id, "token")


func _on_flushed(sent, _status):
	_taken += sent
	if sent == 3:
		for i in 50:
			PlaySmart.track("LevelCompleted", {"n": i})
	elif _taken == 53:
		get_tree().quit()
