-- refresh: a gateway says which members of a room it still holds, a hundred at a time.
--
-- KEYS  4 members   5… member:NAME of each
-- ARGV  5 ttl of a member in s   6 key of a member without the name
--       7 key of left without the id   8… session of each
--
-- Returns one letter for each: k kept, g gone (expired or reaped: reinstate it), m moved (another
-- gateway or another socket has it now). A session begins with its gateway's incarnation, so it is
-- all that has to be compared.
local members, ttl, left_key = KEYS[4], ARGV[5], ARGV[7]
local name_at = #ARGV[6] + 1
local found, kept = {}, {}
local call = redis.call

count_in(5, 1)
must(#ARGV - 7 == #KEYS - 4, 'a session for each member')
for i = 5, #KEYS do
    local key = KEYS[i]
    local there = fields(key, 'session', 'id')
    if there[1] == ARGV[i + 3] and there[1] then
        call('EXPIRE', key, ttl)
        call('EXPIRE', left_key .. (there[2] or ''), ttl) -- who came back with its token
        kept[#kept + 1] = string.sub(key, name_at)
        found[i - 4] = 'k'
    elseif there[1] then
        found[i - 4] = 'm'
    else
        found[i - 4] = 'g'
    end
end
if #kept > 0 then -- should the set have been lost, or broken
    of_type('SADD', members, unpack(kept))
end
call('EXPIRE', members, ttl)
call('EXPIRE', head, head_ttl)
return table.concat(found)
