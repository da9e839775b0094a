-- Pairs are left alone, and so is what only looks like an escape. Levels: see stores.sql.rollup.
CREATE OR REPLACE FUNCTION readable(data json) RETURNS json
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN strpos(data::text, '\u') = 0 THEN data ELSE
        regexp_replace(
            data::text,
            '(?<!\\)((?:\\\\)*)\\u(?:0000|[dD](?:[89abAB]..(?!\\u[dD][c-fC-F])'
            '|(?<!\\u[dD][89abAB]..\\u[dD])[c-fC-F]..))',
            '\1\\ufffd', 'g'
        )::json END
$$;
CREATE FUNCTION level_of(number numeric) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET extra_float_digits = 0 AS $$
    SELECT CASE
        WHEN abs(number) > 1.7e308 THEN NULL
        WHEN abs(number) < 1e-300 THEN '0'
        WHEN number = trunc(number) AND number BETWEEN -9223372036854775808
             AND 9223372036854775807 THEN number::bigint::text
        WHEN abs(number) < 9.2e18 AND number::float8 = trunc(number::float8)
            THEN number::float8::bigint::text
        ELSE number::float8::text
    END
$$;
