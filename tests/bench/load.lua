-- wrk ... -s load.lua URL -- PIPELINE BODY_BYTES CLOSE
-- Sends the same bytes each time; ends with one line that compare.py reads.

local bytes

function init(args)
   local pipeline, body, close = tonumber(args[1]), tonumber(args[2]), args[3] == "1"
   if body > 0 then
      wrk.method = "POST"
      wrk.body = string.rep("b", body)
      wrk.headers["Content-Type"] = "application/octet-stream"
   end
   if close then
      wrk.headers["Connection"] = "close"
   end
   bytes = string.rep(wrk.format(), pipeline)
end

function request()
   return bytes
end

function done(summary, latency, requests)
   local e = summary.errors
   io.write(string.format("RESULT %d %d %d %d %d\n", summary.requests, summary.duration,
      latency:percentile(50), latency:percentile(99), e.connect + e.read + e.write + e.status + e.timeout))
end
