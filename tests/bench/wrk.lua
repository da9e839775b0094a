-- wrk's part of the bench: sends the requests of a file in turn, reports as a last line of JSON.
-- The file has two lines a request: the bearer token and the body.

local prepared, turn = {}, 0

function init(arguments)
   local token
   for line in io.lines(arguments[1]) do
      if token then
         local headers = { ["Authorization"] = "Bearer " .. token, ["Content-Type"] = "application/json" }
         prepared[#prepared + 1] = wrk.format("POST", nil, headers, line)
         token = nil
      else
         token = line
      end
   end
end

function request()
   turn = turn % #prepared + 1
   return prepared[turn]
end

function done(summary, latency)
   local errors = summary.errors
   io.write(string.format(
      '{"seconds":%.6f,"answered":%d,"refused":%d,"errors":%d,"p50_ms":%.3f,"p99_ms":%.3f}\n',
      summary.duration / 1e6, summary.requests, errors.status,
      errors.connect + errors.read + errors.write + errors.timeout,
      latency:percentile(50) / 1e3, latency:percentile(99) / 1e3
   ))
end
