-- join: people come in, come back, or are reinstated by a gateway that was thought dead; several of
-- one room who ask at about the same time. They are judged one after the other; one event tells of
-- all who are new.
--
-- KEYS  4 members (set of folded names)
--       5… of each person:
--          member:NAME
--          left:ID of the resume token
-- ARGV  5 gateway   6 ttl of a member in s   7 members at most (0: any number)
--       8 key of a member without the name   9 gateway channel without id
--       10 until when somebody waits for the answer, in ms of Redis' clock ('0': not known)
--       11… of each person:
--          name
--          address for the operator
--          address that others see ('' none)
--          mark of the address
--          session (of the gateway's)
--          new id
--          hash of the new token
--          id of the resume token ('' none)
--          its hash
--          folded name to which a number is added for a suggestion
--          when they asked, in ms of Redis' clock ('0': not known)
--          '1': reinstate a member that this gateway holds; '2': only whose token is good may come in
--          what it may see from, when reinstated
--          the epoch of that number
--
-- Who asked later has it: two gateways may hold one member, as one of them was thought dead, or
-- Redis went on with an older memory. Beside the token (`left`) stands who had it last, since it was
-- used or its member left: when that asked, in which session and under which name. So nobody is
-- reinstated beside it, or in its place.
--
-- A room with a `locked` takes nobody who is new; who comes back with a good token, or is reinstated, is not.
--
-- Returns for each, in order, {'joined' | 'resumed', id, number, floor, epoch}: the member is in, has
-- this id, and what the room was up to `number` of `epoch` includes it; it may be shown events after
-- `floor`. 'resumed' told nobody. Or {'taken', free number} | {'full'} | {'moved'} | {'late'}
-- | {'locked', its end in ms (0: none), reason} | {'stranger'}: as '2' says.
local call = redis.call
local members, gateway, ttl, most_members = KEYS[4], ARGV[5], ARGV[6], count_in(7)
local member_key, gateway_channel = ARGV[8], ARGV[9]
local last_moment = count_in(10)
local words, first_word = 14, 11
local clock_error_ms = 250 -- at most so wrong is what gateways take for Redis' clock
local at = now_ms()

must(#ARGV - first_word + 1 == (#KEYS - 4) / 2 * words, 'fourteen words for each person')
count_in(6, 1)
local people, answers = {}, {}
for i = 1, (#KEYS - 4) / 2 do
    local n = first_word + (i - 1) * words
    people[i] = {
        key = KEYS[3 + 2 * i], left = KEYS[4 + 2 * i], name = ARGV[n], address = ARGV[n + 1],
        public_address = ARGV[n + 2], mark = ARGV[n + 3], session = ARGV[n + 4], id = ARGV[n + 5],
        hash = ARGV[n + 6], resume_id = ARGV[n + 7], resume_hash = ARGV[n + 8], base = ARGV[n + 9],
        asked_at = digits(count_in(n + 10)), reinstate = ARGV[n + 11] == '1', floor = count_in(n + 12),
        floor_epoch = ARGV[n + 13], known_only = ARGV[n + 11] == '2',
    }
    local one = people[i]
    one.folded = string.sub(one.key, #member_key + 1)
    must(one.folded ~= '' and one.name ~= '' and one.session ~= '', 'a person without a name')
    must(one.id ~= '' and one.hash ~= '', 'a person without an id')
    must(not one.reinstate or one.resume_id ~= '' and one.resume_hash ~= '', 'nobody to reinstate')
end

-- A call can be stuck on its way, or Redis be frozen, until its gateway has given it up, and the
-- member has been let in through another one. What is late would take it back from there.
if last_moment > 0 and tonumber(at) > last_moment then
    return redis.error_reply('LATE nobody waits for this any more')
end
mend(members, 'set')
local epoch, now, _, forks = position()
local count = call('SCARD', members) -- with those who are coming
local coming, claimed, taken_over = {}, {}, false
local taken_up_to = {} -- of a name without a number: this number is taken, the next one was free

-- A floor of the epoch `there` (none was noted: of this one) as a number of this epoch.
local function floor_here(floor, there)
    floor = tonumber(floor)
    if not is_count(floor) then
        return 0
    end
    there = there and there ~= '' and there or epoch
    return math.min(floor_in(there, floor, epoch, forks), now)
end

-- A number that makes the name free, 0 when none was found. Numbers are given from 2 on, so mostly
-- those up to some number are taken: that is looked for with longer and longer steps, and then between
-- the last two. A score of questions at most, where each number in turn would be a thousand.
local most_number = 999 -- of name_with_number
local function suggest(base)
    local taken, free, step = taken_up_to[base] or 1, nil, 1
    local function is_free(number)
        local key = member_key .. base .. number
        return not claimed[key] and call('EXISTS', key) == 0
    end
    local function note(number)
        if is_free(number) then
            free = number
        else
            taken = number
        end
    end
    while not free and taken < most_number do
        note(math.min(taken + step, most_number))
        step = step * 2
    end
    while free and free - taken > 1 do
        note(math.floor((free + taken) / 2))
    end
    taken_up_to[base] = taken
    return free or 0
end

-- The token is used up, and this is the last session that had it.
local function note_session(person)
    call('HDEL', person.left, 'resume', 'floor', 'floor_epoch')
    call('HSET', person.left, 'asked_at', person.asked_at, 'session', person.session,
         'name', person.folded)
    call('EXPIRE', person.left, ttl)
end

-- Another gateway may have been the only one to renew them.
local function renew_room()
    call('EXPIRE', members, ttl)
    call('EXPIRE', head, head_ttl)
end

-- First what may fail (numbering and keeping the event), then the keys: no half-joined member.
local function let_in()
    if #coming == 0 then
        return
    end
    local people, names = {}, {}
    for i, person in ipairs(coming) do
        people[#people + 1] = person_json(person.id, person.name, person.public_address, person.mark)
        names[i] = person.folded
    end
    now = emit_presence(table.concat(people, ','), '', count)
    for _, person in ipairs(coming) do
        person.answer[3] = now
        if person.id == person.resume_id then
            note_session(person)
        end
        call('HSET', person.key, 'id', person.id, 'name', person.name, 'address', person.address,
             'shown', person.public_address, 'mark', person.mark,
             'gateway', gateway, 'session', person.session,
             'joined_at', at, 'asked_at', person.asked_at, 'resume', person.hash,
             'floor', digits(person.answer[4]), 'floor_epoch', epoch)
        call('EXPIRE', person.key, ttl)
    end
    call('SADD', members, unpack(names))
    renew_room()
    coming, claimed = {}, {}
end

-- Did the socket that the member is on ask surely later than this one? A moment that is still to
-- come says nothing: Redis' clock was set back. (Should this be wrong, asking again helps.)
local function is_late(asked, asked_there)
    local own, theirs = tonumber(asked), tonumber(asked_there) or 0
    return own > 0 and own + clock_error_ms < theirs and theirs <= tonumber(at)
end

-- Somebody else may hold what a gateway wants to reinstate, and is to keep it.
local function is_elsewhere(person, asked_there)
    return person.asked_at == '0' or is_late(person.asked_at, asked_there)
end

-- Of which process a session is: it is that one's incarnation, a dash and a number.
local function incarnation_of(session)
    return session and string.match(session, '^(.*)%-%d+$')
end

-- The same member on another socket: nobody else needs to know.
local function take_over(person, there)
    local old_gateway, old_session, asked = there[3], there[4], there[6] or '0'
    local same = old_gateway == gateway and old_session == person.session
    if not person.reinstate and is_late(person.asked_at, asked) then
        return {'late'}
    elseif person.reinstate and not same and is_elsewhere(person, asked) then
        return {'moved'}
    elseif not same then
        asked = person.asked_at
    end
    call('HSET', person.key, 'gateway', gateway, 'session', person.session,
         'address', person.address, 'shown', person.public_address, 'mark', person.mark,
         'asked_at', asked)
    call('EXPIRE', person.key, ttl)
    taken_over = true
    -- another process, which may bear the same gateway-id (without one: broken by hand)
    local there_before = incarnation_of(old_session)
    if old_gateway and (old_gateway ~= gateway or there_before ~= incarnation_of(person.session)) then
        call('PUBLISH', gateway_channel .. old_gateway,
             cjson.encode({type = 'resumed', id = person.resume_id, session = old_session}))
    end
    return {'resumed', person.resume_id, now, floor_here(there[5], there[7]), epoch}
end

-- The same member under another name, by a token that was used there. Nobody has one id twice: the
-- earlier session has moved; a later one comes in as somebody else, or is reinstated once that one has
-- left.
local function judge_namesake(person, name)
    local there = fields(member_key .. name, 'id', 'asked_at')
    if there[1] ~= person.resume_id then
        return nil
    end
    return is_elsewhere(person, there[2]) and {'moved'} or {'taken', suggest(person.base)}
end

-- May it be reinstated? nil: yes.
local function judge_reinstated(person, asked, session, name)
    local other = name and name ~= person.folded and judge_namesake(person, name)
    if other then
        return other
    elseif asked and session ~= person.session and is_elsewhere(person, asked) then
        return {'moved'}
    end
    return nil
end

-- The answer to whoever is new, while the room is locked.
local lock
local function locked()
    if lock == nil then
        local key = string.sub(head, 1, -#'head' - 1) .. 'locked'
        mend(key, 'string')
        local reason = call('GET', key)
        local left_ms = reason and call('PTTL', key)
        lock = reason and {'locked', left_ms > 0 and at + left_ms or 0, reason} or false
    end
    return lock
end

-- Has whoever left a good token? Its id and what it may see go on.
local function comes_back(person, before)
    return person.resume_id ~= '' and before[1] == person.resume_hash
end

local function judge(person)
    if claimed[person.key] or claimed[person.left] then
        let_in()
    end
    local there = fields(person.key, 'id', 'resume', 'gateway', 'session', 'floor', 'asked_at',
                         'floor_epoch')
    if there[1] and there[1] == person.resume_id and there[2] == person.resume_hash then
        return take_over(person, there)
    end
    local before = person.resume_id ~= '' and
                   fields(person.left, 'resume', 'floor', 'asked_at', 'session', 'name',
                          'floor_epoch') or {}
    local new = not person.reinstate and not comes_back(person, before)
    if new and locked() then
        return locked()
    elseif there[1] then
        return {'taken', suggest(person.base)}
    elseif most_members > 0 and not person.reinstate and count >= most_members then
        return {'full'}
    elseif new and person.known_only then
        return {'stranger'}
    end

    local floor = now
    if person.reinstate then
        local other = judge_reinstated(person, before[3], before[4], before[5])
        if other then
            return other
        end
        person.id, person.hash = person.resume_id, person.resume_hash
        floor = floor_here(person.floor, person.floor_epoch)
    elseif not new then
        person.id, person.hash = person.resume_id, person.resume_hash
        floor = floor_here(before[2], before[6])
    end
    count = count + 1 - call('SISMEMBER', members, person.folded)
    person.answer = {'joined', person.id, now, floor, epoch}
    claimed[person.key] = true
    claimed[person.left] = person.resume_id ~= ''
    coming[#coming + 1] = person
    return person.answer
end

for i = 1, #people do
    answers[i] = judge(people[i])
end
let_in()
if taken_over then
    renew_room()
end
return answers
