package com.playsmart.gateway;

import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** What the gateway asks its clients to keep to. */
final class Settings {
    boolean isEnabled = true;
    boolean hasGzip = true;
    long flushMillis = 30000;
    long maxQueueBytes = 10485760;
    Map<String, Double> sample = Collections.emptyMap();

    /** Returns these with no gzip. */
    Settings plain() {
        Settings plain = new Settings();
        plain.isEnabled = isEnabled;
        plain.hasGzip = false;
        plain.flushMillis = flushMillis;
        plain.maxQueueBytes = maxQueueBytes;
        plain.sample = sample;
        return plain;
    }

    /** Returns what an answer says; what cannot be read changes nothing. */
    Settings told(Http.Answer answer) {
        if (answer.status == 404) return plain(); // from before there were settings and gzip
        try {
            Map<?, ?> data = (Map<?, ?>) ((List<?>) answer.get("data")).get(0);
            Map<?, ?> ingest =
                    data.containsKey("ingest")
                            ? (Map<?, ?>) data.get("ingest")
                            : Collections.emptyMap();
            Settings told = new Settings();
            told.isEnabled = !Boolean.FALSE.equals(ingest.get("enabled"));
            Object encodings = ingest.get("encodings");
            told.hasGzip = encodings != null && ((List<?>) encodings).contains("gzip");
            double seconds = number(ingest.get("flush_seconds"), 30);
            told.flushMillis = (long) (1000 * Math.min(Math.max(1, seconds), 3600));
            told.maxQueueBytes = (long) number(ingest.get("max_queue_bytes"), maxQueueBytes);
            told.sample = new HashMap<String, Double>();
            Object sample = ingest.get("sample");
            if (sample == null) return told;
            for (Map.Entry<?, ?> each : ((Map<?, ?>) sample).entrySet()) {
                told.sample.put((String) each.getKey(), number(each.getValue(), 1));
            }
            return told;
        } catch (RuntimeException unreadable) {
            return this;
        }
    }

    /** Returns the share of runs that send an event. */
    double share(String type, String name) {
        Double named = name == null ? null : sample.get(name);
        if (named == null) named = sample.get(type);
        return named == null ? 1 : named;
    }

    private static double number(Object told, double otherwise) {
        return told == null ? otherwise : ((Number) told).doubleValue();
    }
}
