package com.playsmart.gateway;

import java.io.BufferedReader;
import java.io.File;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/**
 * The client behind standard input: a JSON object a line says what to {@code do}, and is answered
 * by one with {@code ok}. The protocol is in the manual, {@code clients#the-adapter}. A game has no
 * need of this file.
 */
final class Adapter {
    private final Map<String, String> tokens = new ConcurrentHashMap<>();
    private PlaySmartClient client;
    private Map<?, ?> init;
    private String player;
    private volatile long ahead;

    public static void main(String[] arguments) throws IOException {
        Adapter adapter = new Adapter();
        BufferedReader lines =
                new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line; (line = lines.readLine()) != null; ) {
            Map<String, Object> answer = new LinkedHashMap<>();
            answer.put("ok", true);
            Object what = null;
            try {
                Map<?, ?> command = (Map<?, ?>) Json.read(line);
                what = command.get("do");
                adapter.obey(what, command, answer);
            } catch (Exception error) { // the next line may be better
                answer.put("ok", false);
                boolean isUnknown = error instanceof UnsupportedOperationException;
                answer.put("error", isUnknown ? "unsupported" : error.getClass().getSimpleName());
            }
            System.out.write((Json.write(answer) + "\n").getBytes(StandardCharsets.US_ASCII));
            System.out.flush();
            if ("quit".equals(what)) break;
        }
    }

    private void obey(Object what, Map<?, ?> command, Map<String, Object> answer)
            throws IOException {
        switch (String.valueOf(what)) {
            case "init":
                init = command;
                begin(false);
                break;
            case "alone":
                begin(true);
                break;
            case "track":
                @SuppressWarnings("unchecked")
                Map<String, Object> data = (Map<String, Object>) command.get("data");
                client.track((String) command.get("type"), data, (String) command.get("name"));
                break;
            case "flush":
                PlaySmartClient.Flushed done = client.flush();
                answer.put("sent", done.sent);
                answer.put("left", client.queued());
                answer.put("status", done.status == 0 ? null : done.status);
                break;
            case "token":
                tokens.put(player, (String) command.get("token"));
                break;
            case "background":
                client.background();
                break;
            case "optout":
                client.optOut();
                break;
            case "optin":
                client.optIn();
                break;
            case "clock":
                ahead += (long) (1000 * ((Number) command.get("seconds")).doubleValue());
                break;
            case "state":
                answer.put("queued", client.queued());
                answer.put("run", client.run());
                answer.put("opted_out", client.isOptedOut());
                answer.put("disabled", !client.isEnabled());
                break;
            case "quit":
                break; // what waits is sent by the next: flush is for that
            default:
                throw new UnsupportedOperationException();
        }
    }

    private void begin(boolean hasThread) {
        if (client != null) client.queue.close();
        player = (String) init.get("user");
        tokens.clear();
        tokens.put(player, (String) init.get("token"));
        PlaySmartClient.Options options = new PlaySmartClient.Options();
        options.hasThread = hasThread;
        Number hurry = (Number) init.get("hurry");
        if (hurry != null) {
            options.hurry = hurry.doubleValue();
            options.answerMillis = Math.max(1, (long) (options.answerMillis / options.hurry));
        }
        options.clock =
                new PlaySmartClient.Clock() {
                    @Override
                    public long wall() {
                        return super.wall() + ahead;
                    }
                };
        File folder = new File((String) init.get("dir"));
        String url = (String) init.get("url"), game = (String) init.get("game");
        client = new PlaySmartClient(url, folder, player, game, tokens::get, options);
    }
}
