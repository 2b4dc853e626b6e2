-- wrk ... -s load.lua URL -- PIPELINE CONTENT_TYPE BODY_FILE CLOSE
-- Sends the same bytes each time; ends with one line that compare.py reads.

local bytes

function init(args)
   local pipeline, content_type, close = tonumber(args[1]), args[2], args[4] == "1"
   if content_type ~= "" then
      local file = io.open(args[3], "rb")
      wrk.method = "POST"
      wrk.body = file:read("*a")
      wrk.headers["Content-Type"] = content_type
      file:close()
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
