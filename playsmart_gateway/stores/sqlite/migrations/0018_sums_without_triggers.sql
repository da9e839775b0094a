DROP TRIGGER rollup_new_player;
DROP TRIGGER rollup_player_active;
DROP TRIGGER rollup_retained_1;
DROP TRIGGER rollup_retained_7;
DROP TRIGGER rollup_level_player;
