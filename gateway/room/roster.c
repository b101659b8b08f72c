#include "room/roster.h"

#include "base/memory.h"
#include "base/text.h"
#include "protocol/token.h"

#include <stdlib.h>
#include <string.h>

struct person {
    char id[TOKEN_ID_BYTES];
    char *json;
};

struct roster {
    struct person *people;
    size_t named, capacity; /* the named at most ROSTER_MOST; most rooms are small */
    uint64_t count;
    struct text list;     /* what roster_list gave */
    size_t beginning_len; /* of the list: all but the last one */
    bool beginning_is_current;
};

struct roster *roster_new(void)
{
    return memory_new(sizeof(struct roster));
}

void roster_free(struct roster *roster)
{
    if (roster == NULL)
        return;
    roster_clear(roster);
    free(roster->people);
    text_done(&roster->list);
    free(roster);
}

void roster_clear(struct roster *roster)
{
    for (size_t i = 0; i < roster->named; i++)
        free(roster->people[i].json);
    roster->named = 0;
    roster->count = 0;
    roster->beginning_is_current = false;
}

static struct person *find_person(struct roster *roster, const char *id)
{
    for (size_t i = 0; i < roster->named; i++)
        if (roster->people[i].id[0] == id[0] && strcmp(roster->people[i].id, id) == 0)
            return &roster->people[i];
    return NULL;
}

static struct person *new_person(struct roster *roster)
{
    if (roster->named == roster->capacity) {
        roster->capacity = roster->capacity == 0 ? 8 : roster->capacity * 2;
        roster->people = memory_resize(roster->people, roster->capacity, sizeof roster->people[0]);
    }
    return &roster->people[roster->named++];
}

/* Takes the JSON over; a person who is there already is replaced. */
static void add_person(struct roster *roster, const char *id, char *json)
{
    struct person *person = find_person(roster, id);
    if (person == NULL && (roster->named == ROSTER_MOST || strlen(id) >= TOKEN_ID_BYTES)) {
        free(json);
        return;
    }
    if (person == NULL) {
        person = new_person(roster);
        memcpy(person->id, id, strlen(id) + 1);
        person->json = NULL;
    }
    free(person->json);
    person->json = json;
    roster->beginning_is_current = false;
}

static void remove_person(struct roster *roster, const char *id)
{
    struct person *person = find_person(roster, id);
    if (person == NULL)
        return;
    free(person->json);
    *person = roster->people[--roster->named];
    roster->beginning_is_current = false;
}

void roster_apply(struct roster *roster, const struct room_event *event)
{
    for (size_t i = 0; i < event->left_count; i++)
        remove_person(roster, event->left[i].id);
    for (size_t i = 0; i < event->joined_count; i++)
        add_person(roster, event->joined[i].id, memory_copy_string(event->joined[i].json));
    roster->count = event->count;
}

uint64_t roster_count(const struct roster *roster)
{
    return roster->count;
}

bool roster_is_incomplete(const struct roster *roster)
{
    uint64_t could = roster->count < ROSTER_MOST ? roster->count : ROSTER_MOST;
    return roster->named < could;
}

static void add_to_list(struct text *list, const char *json)
{
    if (list->len > 0)
        text_add_string(list, ",");
    text_add_string(list, json);
}

/* All but the last one; kept, for in a burst everybody who comes in gets a list. */
static void write_beginning(struct roster *roster)
{
    text_clear(&roster->list);
    text_add(&roster->list, "", 0);
    for (size_t i = 0; i + 1 < roster->named; i++)
        add_to_list(&roster->list, roster->people[i].json);
    roster->beginning_len = roster->list.len;
    roster->beginning_is_current = true;
}

/* Somebody beyond the ROSTER_MOST takes the last one's place, so that the bound holds. */
const char *roster_list(struct roster *roster, const char *id, const char *json)
{
    bool there = json == NULL || find_person(roster, id) != NULL;
    if (!roster->beginning_is_current)
        write_beginning(roster);
    roster->list.len = roster->beginning_len;
    roster->list.data[roster->list.len] = '\0';
    if (roster->named > 0 && (there || roster->named < ROSTER_MOST))
        add_to_list(&roster->list, roster->people[roster->named - 1].json);
    if (!there)
        add_to_list(&roster->list, json);
    return roster->list.data;
}
