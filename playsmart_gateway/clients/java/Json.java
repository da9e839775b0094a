package com.playsmart.gateway;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** JSON as maps, lists, strings, numbers, booleans and null. No error says what was in it. */
final class Json {
    private static final int MAX_DEPTH = 100;
    private static final String HEX = "0123456789abcdef";

    private final String text;
    private int at;

    private Json(String text) {
        this.text = text;
    }

    /**
     * Returns a value in ASCII and on one line.
     *
     * @throws IllegalArgumentException it has no form in JSON, or is too deep, as what contains
     *     itself
     */
    static String write(Object value) {
        StringBuilder into = new StringBuilder(128);
        write(value, into, 0);
        return into.toString();
    }

    /**
     * Returns what a text says: whole numbers as Long, others as Double.
     *
     * @throws IllegalArgumentException it is no JSON
     */
    static Object read(String text) {
        Json json = new Json(text);
        Object value = json.value(0);
        json.demand(json.peek() == 0 && json.at >= text.length());
        return value;
    }

    private static void write(Object value, StringBuilder into, int depth) {
        if (value instanceof CharSequence || value instanceof Character) {
            writeText(value.toString(), into);
        } else if (value == null || value instanceof Boolean || isNumber(value)) {
            into.append(value);
        } else if (value instanceof Map || value instanceof Iterable || value instanceof Object[]) {
            if (depth == MAX_DEPTH) throw new IllegalArgumentException("it is too deep");
            if (value instanceof Map) {
                writeMap((Map<?, ?>) value, into, depth + 1);
            } else {
                writeList(value, into, depth + 1);
            }
        } else {
            throw new IllegalArgumentException("a " + value.getClass().getName() + " is no JSON");
        }
    }

    private static void writeMap(Map<?, ?> map, StringBuilder into, int depth) {
        char before = '{';
        for (Map.Entry<?, ?> each : map.entrySet()) {
            writeText(String.valueOf(each.getKey()), into.append(before));
            write(each.getValue(), into.append(':'), depth);
            before = ',';
        }
        into.append(before == '{' ? "{}" : "}");
    }

    private static void writeList(Object list, StringBuilder into, int depth) {
        boolean isArray = list instanceof Object[];
        Iterable<?> items = isArray ? Arrays.asList((Object[]) list) : (Iterable<?>) list;
        char before = '[';
        for (Object each : items) {
            write(each, into.append(before), depth);
            before = ',';
        }
        into.append(before == '[' ? "[]" : "]");
    }

    private static boolean isNumber(Object value) {
        if (value instanceof Double || value instanceof Float) {
            double number = ((Number) value).doubleValue();
            return !Double.isNaN(number) && !Double.isInfinite(number);
        }
        return value instanceof Integer
                || value instanceof Long
                || value instanceof Short
                || value instanceof Byte
                || value instanceof BigInteger
                || value instanceof BigDecimal;
    }

    private static void writeText(String text, StringBuilder into) {
        into.append('"');
        for (int place = 0; place < text.length(); place++) {
            char each = text.charAt(place);
            if (each == '"' || each == '\\') {
                into.append('\\').append(each);
            } else if (each >= ' ' && each < 127) {
                into.append(each);
            } else { // half a surrogate pair has no other form than this
                into.append("\\u");
                for (int shift = 12; shift >= 0; shift -= 4) {
                    into.append(HEX.charAt(each >> shift & 15));
                }
            }
        }
        into.append('"');
    }

    private Object value(int depth) {
        demand(depth <= MAX_DEPTH);
        char first = peek();
        if (first == '{') return map(depth);
        if (first == '[') return list(depth);
        if (first == '"') return string();
        int from = at;
        while (at < text.length() && isOfWord(text.charAt(at))) at++;
        String word = text.substring(from, at);
        if (word.equals("true") || word.equals("false")) return word.equals("true");
        if (word.equals("null")) return null;
        demand(word.matches("-?(0|[1-9][0-9]*)(\\.[0-9]+)?([eE][+-]?[0-9]+)?"));
        boolean isWhole = word.length() < 19 && word.matches("-?[0-9]+");
        if (isWhole) return Long.parseLong(word);
        return Double.parseDouble(word);
    }

    private Map<String, Object> map(int depth) {
        Map<String, Object> map = new LinkedHashMap<String, Object>();
        at++;
        if (skip('}')) return map;
        do {
            demand(peek() == '"');
            String key = string();
            demand(skip(':'));
            map.put(key, value(depth + 1));
        } while (skip(','));
        demand(skip('}'));
        return map;
    }

    private List<Object> list(int depth) {
        List<Object> list = new ArrayList<Object>();
        at++;
        if (skip(']')) return list;
        do {
            list.add(value(depth + 1));
        } while (skip(','));
        demand(skip(']'));
        return list;
    }

    private String string() {
        StringBuilder into = new StringBuilder();
        for (at++; ; at++) {
            demand(at < text.length());
            char each = text.charAt(at);
            if (each == '"') break;
            demand(each >= ' ');
            if (each != '\\') {
                into.append(each);
                continue;
            }
            at++;
            demand(at < text.length());
            int which = "\"\\/bfnrtu".indexOf(text.charAt(at));
            demand(which >= 0);
            if (which < 8) {
                into.append("\"\\/\b\f\n\r\t".charAt(which));
                continue;
            }
            demand(at + 4 < text.length());
            String digits = text.substring(at + 1, at + 5);
            demand(digits.matches("[0-9a-fA-F]{4}"));
            into.append((char) Integer.parseInt(digits, 16));
            at += 4;
        }
        at++;
        return into.toString();
    }

    /** Returns the next character that is no space, or 0 at the end. */
    private char peek() {
        while (at < text.length() && " \t\r\n".indexOf(text.charAt(at)) >= 0) at++;
        return at < text.length() ? text.charAt(at) : 0;
    }

    private boolean skip(char wanted) {
        boolean isThere = peek() == wanted;
        if (isThere) at++;
        return isThere;
    }

    private static boolean isOfWord(char each) {
        boolean isLetter = each >= 'a' && each <= 'z' || each >= 'A' && each <= 'Z';
        return isLetter || each >= '0' && each <= '9' || "+-.".indexOf(each) >= 0;
    }

    private void demand(boolean isSo) {
        if (!isSo) throw new IllegalArgumentException("no JSON at character " + at);
    }
}
