-- wrk's part of the bench: sends the requests of a file in turn, reports as a last line of JSON.
-- Its first line is what stands before and behind the own part of each body, with a tab between;
-- the others are a bearer token and that own part each. The second argument says how many lines to
-- pass over at the start.

local before, behind, head
local tokens, parts, turn = {}, {}, 0

function init(arguments)
   for line in io.lines(arguments[1]) do
      local left, right = line:match("^([^\t]*)\t(.*)$")
      if before then
         tokens[#tokens + 1], parts[#parts + 1] = left, right
      else
         before, behind = left, right
      end
   end
   turn = tonumber(arguments[2]) % #tokens
   head = "POST " .. wrk.path .. " HTTP/1.1\r\nHost: " .. wrk.headers["Host"] ..
      "\r\nContent-Type: application/json\r\nAuthorization: Bearer "
end

function request()
   turn = turn % #tokens + 1
   local part = parts[turn]
   local length = #before + #part + #behind
   return head .. tokens[turn] .. "\r\nContent-Length: " .. length .. "\r\n\r\n" .. before .. part .. behind
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
