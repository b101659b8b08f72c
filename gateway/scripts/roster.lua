-- roster: who is in the room, at most so many. Names whose key has expired are taken off the list.
--
-- KEYS  4 members
-- ARGV  5 members at most   6 key of a member without the name
--
-- Returns {epoch, number of the last event, messages up to it, count,
--          then id, name, shown address, mark of each}.
local members = KEYS[4]
count_in(5)
local epoch, seq, messages = position()
local people = {}

mend(members, 'set')
for _, folded in ipairs(redis.call('SRANDMEMBER', members, ARGV[5])) do
    local there = fields(ARGV[6] .. folded, 'id', 'name', 'shown', 'mark')
    if there[1] and person_json(there[1], there[2], there[3], there[4]) then
        for i = 1, 4 do
            people[#people + 1] = there[i] or ''
        end
    elseif not there[1] then
        redis.call('SREM', members, folded)
    end
end
local answer = {epoch, seq, messages, redis.call('SCARD', members)}
for _, value in ipairs(people) do
    answer[#answer + 1] = value
end
return answer
