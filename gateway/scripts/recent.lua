-- recent: what happened after a number, for a gateway that opens a room or missed something.
--
-- ARGV  5 the last number it knows   6 entries to look at, at most   7 bytes of events, at most
--       8 the last entry that was looked at, '' at first: it goes on from there
--
-- Returns {epoch, number of the last event, messages up to it, now in ms, forks,
--          the last entry that was looked at, '' when there are no more,
--          then number, ms, JSON, messages up to it of each event}.
local from = digits(count_in(5) + 1) .. '-0'
local most_entries, most_bytes = count_in(6, 1), count_in(7, 1)
local last = ARGV[8]
must(last == '' or string.find(last, '^%d+%-%d+$'), '8 is no entry of a stream')
if last ~= '' then
    from = '(' .. last
end
local epoch, seq, messages, forks = position()
local to = digits(seq) .. '-0'
local answer, bytes = {epoch, seq, messages, now_ms(), forks, ''}, 0

mend(recent, 'stream')
local page = redis.call('XRANGE', recent, from, to, 'COUNT', ARGV[6])
for _, entry in ipairs(page) do
    local kept = entry[2]
    local number = string.match(entry[1], '^(%d+)%-0$')
    local at, event, up_to = kept[2], kept[4], kept[6] or '0'
    local size = number and kept[3] == 'event' and #at + #event + #up_to
    if size and size <= most_bytes then -- else somebody has added it by hand
        bytes = bytes + size
        if bytes > most_bytes then
            answer[6] = last -- it begins the next page
            break
        end
        answer[#answer + 1] = number
        answer[#answer + 1] = at
        answer[#answer + 1] = event
        answer[#answer + 1] = up_to
    end
    last = entry[1]
end
if #page == most_entries then
    answer[6] = last
end
return answer
