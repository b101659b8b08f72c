#include "base/text.h"

#include "base/memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void text_reserve(struct text *text, size_t more)
{
    size_t need = text->len + more + 1;
    if (need <= text->capacity)
        return;
    size_t capacity = text->capacity < 64 ? 64 : text->capacity;
    while (capacity < need)
        capacity *= 2;
    text->data = memory_resize(text->data, capacity, 1);
    text->capacity = capacity;
}

void text_done(struct text *text)
{
    free(text->data);
    *text = TEXT_EMPTY;
}

void text_clear(struct text *text)
{
    text->len = 0;
    if (text->data != NULL)
        text->data[0] = '\0';
}

void text_add(struct text *text, const char *data, size_t len)
{
    text_reserve(text, len);
    if (len > 0)
        memcpy(text->data + text->len, data, len);
    text->len += len;
    text->data[text->len] = '\0';
}

void text_add_string(struct text *text, const char *string)
{
    text_add(text, string, strlen(string));
}

size_t text_number(uint64_t number, char out[TEXT_NUMBER_BYTES])
{
    char digits[TEXT_NUMBER_BYTES];
    size_t first = sizeof digits - 1;
    digits[first] = '\0';
    do {
        digits[--first] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    memcpy(out, digits + first, sizeof digits - first);
    return sizeof digits - 1 - first;
}

void text_add_number(struct text *text, uint64_t number)
{
    char digits[TEXT_NUMBER_BYTES];
    size_t len = text_number(number, digits);
    text_add(text, digits, len);
}

void text_print(struct text *text, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    va_list again;
    va_copy(again, args);
    text_reserve(text, 0);
    size_t room = text->capacity - text->len;
    int len = vsnprintf(text->data + text->len, room, format, args);
    va_end(args);
    if (len > 0 && (size_t)len >= room) { /* once more, with enough room */
        text_reserve(text, (size_t)len);
        vsnprintf(text->data + text->len, (size_t)len + 1, format, again);
    }
    text->len += len > 0 ? (size_t)len : 0;
    va_end(again);
}

char *text_take(struct text *text)
{
    text_reserve(text, 0);
    text->data[text->len] = '\0';
    char *data = text->data;
    *text = TEXT_EMPTY;
    return data;
}

uint64_t text_hash(const char *string)
{
    uint64_t hash = 14695981039346656037u;
    for (; *string != '\0'; string++)
        hash = (hash ^ (unsigned char)*string) * 1099511628211u;
    return hash;
}
