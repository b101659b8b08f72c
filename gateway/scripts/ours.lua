-- ours: some of those in a room who are there for one gateway. What that one does not hold was left
-- over: Redis went on with an older memory, in which they had not left yet.
--
-- KEYS  4 members
-- ARGV  5 gateway   6 key of a member without the name   7 cursor, '0' at first   8 names about
--
-- Returns {the next cursor, '0' at the end, then name, session, id of each}.
local members, gateway, member_key = KEYS[4], ARGV[5], ARGV[6]

count_in(8, 1)
mend(members, 'set')
local page = redis.call('SSCAN', members, ARGV[7], 'COUNT', ARGV[8])
local answer = {page[1]}
for _, folded in ipairs(page[2]) do
    local there = fields(member_key .. folded, 'gateway', 'session', 'id')
    if there[1] == gateway and there[2] then
        answer[#answer + 1] = folded
        answer[#answer + 1] = there[2]
        answer[#answer + 1] = there[3] or ''
    end
end
return answer
