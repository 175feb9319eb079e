/* Reads the members of one JSON object in place (RFC 8259), without memory of its own: enough for a filter's
 * configuration and for rewriting a value in a body. Strings are given as they are written, escapes included. */
#ifndef JSON_H
#define JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* Deeper nesting is refused: the stack of a filter is small. */
#define JSON_DEPTH_MAX 64

struct json_span {
    const char *at;
    size_t size;
};

struct json_reader {
    const char *at;
    const char *end;
    bool first;
};

enum json_step { JSON_MEMBER, JSON_END, JSON_BAD };

static inline void json_space(struct json_reader *reader) {
    while (reader->at < reader->end && strchr(" \t\r\n", *reader->at) && *reader->at) reader->at++;
}

static inline bool json_take(struct json_reader *reader, char expected) {
    json_space(reader);
    if (reader->at == reader->end || *reader->at != expected) return false;
    reader->at++;
    return true;
}

static inline bool json_string(struct json_reader *reader) {
    if (!json_take(reader, '"')) return false;
    for (; reader->at < reader->end; reader->at++) {
        if (*reader->at == '"') return reader->at++, true;
        if ((unsigned char)*reader->at < 0x20) return false;
        if (*reader->at == '\\' && ++reader->at == reader->end) return false;
    }
    return false;
}

static inline bool json_word(struct json_reader *reader, const char *word) {
    size_t size = strlen(word);
    if ((size_t)(reader->end - reader->at) < size || memcmp(reader->at, word, size) != 0) return false;
    reader->at += size;
    return true;
}

static inline bool json_number(struct json_reader *reader) {
    const char *start = reader->at;
    while (reader->at < reader->end && *reader->at && strchr("+-.0123456789eE", *reader->at)) reader->at++;
    return reader->at > start;
}

static inline bool json_value(struct json_reader *reader, int depth) {
    json_space(reader);
    if (reader->at == reader->end || depth > JSON_DEPTH_MAX) return false;
    char open = *reader->at;
    if (open == '"') return json_string(reader);
    if (open != '{' && open != '[')
        return json_word(reader, "true") || json_word(reader, "false") || json_word(reader, "null") ||
               json_number(reader);
    char close = open == '{' ? '}' : ']';
    reader->at++;
    if (json_take(reader, close)) return true;
    do {
        if (open == '{' && !(json_string(reader) && json_take(reader, ':'))) return false;
        if (!json_value(reader, depth + 1)) return false;
    } while (json_take(reader, ','));
    return json_take(reader, close);
}

/* A reader of the object in `text`, or false where it is none. */
static inline bool json_open(struct json_reader *reader, const char *text, size_t size) {
    *reader = (struct json_reader){text, text + size, true};
    return json_take(reader, '{');
}

/* The next member: its name without quotes, and its value. After JSON_BAD the text is no JSON object. */
static inline enum json_step json_next(struct json_reader *reader, struct json_span *name, struct json_span *value) {
    if (json_take(reader, '}')) {
        json_space(reader);
        return reader->at == reader->end ? JSON_END : JSON_BAD;
    }
    if (!reader->first && !json_take(reader, ',')) return JSON_BAD;
    reader->first = false;
    json_space(reader);
    const char *start = reader->at;
    if (!json_string(reader)) return JSON_BAD;
    *name = (struct json_span){start + 1, (size_t)(reader->at - start) - 2};
    if (!json_take(reader, ':')) return JSON_BAD;
    json_space(reader);
    start = reader->at;
    if (!json_value(reader, 0)) return JSON_BAD;
    *value = (struct json_span){start, (size_t)(reader->at - start)};
    return JSON_MEMBER;
}

static inline int json_hex(char digit) {
    if (digit >= '0' && digit <= '9') return digit - '0';
    digit |= 0x20;
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

/* Whether a string, as it is written, means this text. ASCII may be written as \u00XX: who hides a name so does not
 * get past a filter that looks for it. */
static inline bool json_means(struct json_span written, const char *text, size_t size) {
    size_t from = 0, to = 0;
    for (; from < written.size; to++) {
        int byte = (unsigned char)written.at[from++];
        if (byte == '\\' && from < written.size && written.at[from] == 'u' && from + 4 < written.size) {
            byte = 0;
            for (size_t digit = from + 1; digit <= from + 4; digit++) byte = byte * 16 + json_hex(written.at[digit]);
            from += 5;
        } else if (byte == '\\' && from < written.size) {
            byte = written.at[from++];
            const char *names = "nrtbf", *bytes = "\n\r\t\b\f", *found = strchr(names, byte);
            if (found) byte = bytes[found - names];
        }
        if (to == size || byte != (unsigned char)text[to]) return false;
    }
    return to == size;
}

#endif
