// The example filter in C. What it does is said in ../README.md.

#include <stdlib.h>

#include "json.h"
#include "proxy_wasm.h"

#define TEXT(literal) (literal), sizeof(literal) - 1

static const uint32_t CALL_MILLISECONDS = 1000;

struct text {
    char *at;
    size_t size;
};

// One configuration. A VM may have several: the proxy makes a context for each.
struct plugin {
    uint32_t id;
    struct text header, value, mask, upstream;
    struct plugin *next;
};

struct stream {
    uint32_t id;
    const struct plugin *plugin;
    uint32_t call;
    struct stream *next;
};

static struct plugin *plugins;
static struct stream *streams;

PROXY_ABI_0_2_1

void *PROXY_EXPORT(proxy_on_memory_allocate)(size_t size) { return malloc(size); }

// Without memory a filter cannot filter: it ends, and the proxy denies the exchange. (Address 0 is memory in
// WebAssembly, so a write there would not trap.)
static void *allocate(size_t size) {
    void *memory = calloc(1, size);
    if (!memory) abort();
    return memory;
}

static struct plugin *find_plugin(uint32_t id) {
    for (struct plugin *plugin = plugins; plugin; plugin = plugin->next)
        if (plugin->id == id) return plugin;
    return NULL;
}

static struct stream *find_stream(uint32_t id) {
    for (struct stream *stream = streams; stream; stream = stream->next)
        if (stream->id == id) return stream;
    return NULL;
}

void PROXY_EXPORT(proxy_on_context_create)(uint32_t id, uint32_t parent) {
    if (parent == 0) {
        struct plugin *plugin = allocate(sizeof *plugin);
        *plugin = (struct plugin){.id = id, .next = plugins};
        plugins = plugin;
    } else {
        struct stream *stream = allocate(sizeof *stream);
        *stream = (struct stream){.id = id, .plugin = find_plugin(parent), .next = streams};
        streams = stream;
    }
}

void PROXY_EXPORT(proxy_on_delete)(uint32_t id) {
    for (struct stream **link = &streams; *link; link = &(*link)->next)
        if ((*link)->id == id) {
            struct stream *ended = *link;
            *link = ended->next;
            free(ended);
            return;
        }
}

// A string of the configuration, without its quotes.
static bool keep(struct text *text, struct json_span value) {
    if (value.size < 3 || value.at[0] != '"' || memchr(value.at, '\\', value.size)) return false;
    text->size = value.size - 2;
    text->at = allocate(text->size);
    memcpy(text->at, value.at + 1, text->size);
    return true;
}

static bool configure(struct plugin *plugin, const char *config, size_t size) {
    struct {
        const char *name;
        struct text *text;
    } keys[] = {{"header", &plugin->header},
                {"value", &plugin->value},
                {"mask", &plugin->mask},
                {"upstream", &plugin->upstream}};
    struct json_reader reader;
    struct json_span name, value;
    enum json_step step;
    if (!json_open(&reader, config, size)) return false;
    while ((step = json_next(&reader, &name, &value)) == JSON_MEMBER)
        for (size_t key = 0; key < sizeof keys / sizeof *keys; key++)
            if (json_means(name, keys[key].name, strlen(keys[key].name)) && !keep(keys[key].text, value)) return false;
    return step == JSON_END && plugin->header.size && plugin->value.size && plugin->mask.size && plugin->upstream.size;
}

uint32_t PROXY_EXPORT(proxy_on_configure)(uint32_t id, size_t size) {
    char *config = NULL;
    proxy_get_buffer_bytes(PROXY_PLUGIN_CONFIGURATION, 0, size, &config, &size);
    bool good = configure(find_plugin(id), config, size);
    free(config);
    if (!good) proxy_log(PROXY_LOG_ERROR, TEXT("the configuration needs the texts header, value, mask and upstream"));
    return good;
}

// Writes pairs as the ABI has them; the caller frees them.
static struct text write_pairs(const struct text *texts, uint32_t pairs) {
    size_t size = 4 + 8 * pairs;
    for (uint32_t text = 0; text < 2 * pairs; text++) size += texts[text].size + 1;
    char *at = allocate(size), *sizes = at + 4, *bytes = at + 4 + 8 * pairs;
    memcpy(at, &pairs, 4);
    for (uint32_t text = 0; text < 2 * pairs; text++) {
        memcpy(sizes + 4 * text, &texts[text].size, 4);
        memcpy(bytes, texts[text].at, texts[text].size);
        bytes += texts[text].size + 1;
    }
    return (struct text){at, size};
}

static uint32_t reply(uint32_t status, const char *body, size_t size) {
    proxy_send_local_response(status, NULL, 0, body, size, NULL, 0, -1);
    return PROXY_PAUSE;
}

uint32_t PROXY_EXPORT(proxy_on_request_headers)(uint32_t id, uint32_t count, uint32_t end_of_stream) {
    struct stream *stream = find_stream(id);
    const struct plugin *plugin = stream->plugin;
    proxy_add_header_map_value(PROXY_REQUEST_HEADERS, plugin->header.at, plugin->header.size, plugin->value.at,
                               plugin->value.size);
    // The body will have another length.
    if (!end_of_stream) proxy_remove_header_map_value(PROXY_REQUEST_HEADERS, TEXT("content-length"));

    struct text path = {0};
    proxy_get_header_map_value(PROXY_REQUEST_HEADERS, TEXT(":path"), &path.at, &path.size);
    struct text texts[] = {{TEXT(":method")}, {TEXT("GET")},    {TEXT(":path")},  {TEXT("/check")},
                           {TEXT(":authority")}, plugin->upstream, {TEXT("x-path")}, path};
    struct text headers = write_pairs(texts, 4);
    uint32_t refused = proxy_http_call(plugin->upstream.at, plugin->upstream.size, headers.at, headers.size, NULL, 0,
                                       NULL, 0, CALL_MILLISECONDS, &stream->call);
    free(headers.at);
    free(path.at);
    return refused ? reply(503, TEXT("no policy service\n")) : PROXY_PAUSE;
}

void PROXY_EXPORT(proxy_on_http_call_response)(uint32_t root, uint32_t token, uint32_t headers, size_t body,
                                               uint32_t trailers) {
    struct stream *stream = streams;
    while (stream && stream->call != token) stream = stream->next;
    if (!stream) return;
    struct text status = {0}, user = {0};
    proxy_get_header_map_value(PROXY_CALL_RESPONSE_HEADERS, TEXT(":status"), &status.at, &status.size);
    bool allowed = status.size == 3 && memcmp(status.at, "200", 3) == 0;
    proxy_get_header_map_value(PROXY_CALL_RESPONSE_HEADERS, TEXT("x-user"), &user.at, &user.size);
    proxy_set_effective_context(stream->id);
    // Nobody but the policy service says who it is.
    if (user.size)
        proxy_replace_header_map_value(PROXY_REQUEST_HEADERS, TEXT("x-user"), user.at, user.size);
    else
        proxy_remove_header_map_value(PROXY_REQUEST_HEADERS, TEXT("x-user"));
    if (allowed)
        proxy_continue_stream(PROXY_REQUEST);
    else
        reply(403, TEXT("denied by policy\n"));
    free(status.at);
    free(user.at);
}

// The object with every value of the member `mask` replaced; no bytes where nothing is to be changed.
static struct text masked(const struct plugin *plugin, const char *body, size_t size) {
    static const char stars[] = "\"***\"";
    struct json_reader reader;
    struct json_span name, value;
    enum json_step step;
    if (!json_open(&reader, body, size)) return (struct text){0};
    // A member takes five bytes at least ("a":1), and grows by four at most.
    struct text out = {allocate(2 * size), 0};
    const char *copied = body;
    while ((step = json_next(&reader, &name, &value)) == JSON_MEMBER) {
        if (!json_means(name, plugin->mask.at, plugin->mask.size)) continue;
        memcpy(out.at + out.size, copied, (size_t)(value.at - copied));
        out.size += (size_t)(value.at - copied);
        memcpy(out.at + out.size, stars, sizeof stars - 1);
        out.size += sizeof stars - 1;
        copied = value.at + value.size;
    }
    if (step == JSON_BAD || copied == body) {
        free(out.at);
        return (struct text){0};
    }
    memcpy(out.at + out.size, copied, (size_t)(body + size - copied));
    out.size += (size_t)(body + size - copied);
    return out;
}

uint32_t PROXY_EXPORT(proxy_on_request_body)(uint32_t id, size_t size, uint32_t end_of_stream) {
    if (!end_of_stream) return PROXY_PAUSE;
    char *body = NULL;
    if (proxy_get_buffer_bytes(PROXY_REQUEST_BODY, 0, size, &body, &size) != PROXY_OK || !size) return PROXY_CONTINUE;
    struct text changed = masked(find_stream(id)->plugin, body, size);
    if (changed.at) proxy_set_buffer_bytes(PROXY_REQUEST_BODY, 0, size, changed.at, changed.size);
    free(changed.at);
    free(body);
    return PROXY_CONTINUE;
}

uint32_t PROXY_EXPORT(proxy_on_response_headers)(uint32_t id, uint32_t count, uint32_t end_of_stream) {
    const struct plugin *plugin = find_stream(id)->plugin;
    proxy_add_header_map_value(PROXY_RESPONSE_HEADERS, plugin->header.at, plugin->header.size, plugin->value.at,
                               plugin->value.size);
    return PROXY_CONTINUE;
}
