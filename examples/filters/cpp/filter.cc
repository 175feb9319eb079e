// The example filter in C++. What it does is said in ../README.md.

#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "json.h"
#include "proxy_wasm.h"

namespace {

constexpr uint32_t call_milliseconds = 1000;

// One configuration. A VM may have several: the proxy makes a context for each.
struct Plugin {
    std::string header, value, mask, upstream;
};

struct Stream {
    const Plugin *plugin;
};

std::unordered_map<uint32_t, Plugin> plugins;
std::unordered_map<uint32_t, Stream> streams;
// Streams that wait for an answer, by the token of their callout.
std::unordered_map<uint32_t, uint32_t> calls;

// Bytes from the proxy, which this owns.
class Bytes {
public:
    Bytes() = default;
    Bytes(const Bytes &) = delete;
    Bytes &operator=(const Bytes &) = delete;
    ~Bytes() { std::free(at); }
    std::string_view text() const { return {at, size}; }

    char *at = nullptr;
    size_t size = 0;
};

using Pairs = std::vector<std::pair<std::string_view, std::string_view>>;

// As the ABI has them.
std::string encoded(const Pairs &pairs) {
    std::string out;
    auto number = [&out](size_t value) {
        for (int shift = 0; shift < 32; shift += 8) out.push_back(static_cast<char>(value >> shift));
    };
    number(pairs.size());
    for (const auto &[name, value] : pairs) {
        number(name.size());
        number(value.size());
    }
    for (const auto &[name, value] : pairs) out.append(name).append(1, '\0').append(value).append(1, '\0');
    return out;
}

std::string header(proxy_map map, std::string_view name) {
    Bytes value;
    proxy_get_header_map_value(map, name.data(), name.size(), &value.at, &value.size);
    return std::string(value.text());
}

void add(proxy_map map, std::string_view name, std::string_view value) {
    proxy_add_header_map_value(map, name.data(), name.size(), value.data(), value.size());
}

uint32_t reply(uint32_t status, std::string_view body) {
    proxy_send_local_response(status, nullptr, 0, body.data(), body.size(), nullptr, 0, -1);
    return PROXY_PAUSE;
}

std::string_view view(json_span span) { return {span.at, span.size}; }

std::optional<Plugin> parsed(std::string_view config) {
    Plugin plugin;
    const std::pair<std::string_view, std::string *> keys[] = {{"header", &plugin.header},
                                                               {"value", &plugin.value},
                                                               {"mask", &plugin.mask},
                                                               {"upstream", &plugin.upstream}};
    json_reader reader;
    json_span name, value;
    json_step step;
    if (!json_open(&reader, config.data(), config.size())) return std::nullopt;
    while ((step = json_next(&reader, &name, &value)) == JSON_MEMBER) {
        for (const auto &[key, text] : keys) {
            if (!json_means(name, key.data(), key.size())) continue;
            auto written = view(value);
            if (written.front() != '"' || written.find('\\') != written.npos) return std::nullopt;
            *text = written.substr(1, written.size() - 2);
        }
    }
    for (const auto &[key, text] : keys)
        if (text->empty()) return std::nullopt;
    return step == JSON_END ? std::optional(std::move(plugin)) : std::nullopt;
}

// The object with every value of the member `mask` replaced; none where nothing is to be changed.
std::optional<std::string> masked(std::string_view body, std::string_view mask) {
    json_reader reader;
    json_span name, value;
    json_step step;
    if (!json_open(&reader, body.data(), body.size())) return std::nullopt;
    std::string out;
    const char *copied = body.data();
    while ((step = json_next(&reader, &name, &value)) == JSON_MEMBER) {
        if (!json_means(name, mask.data(), mask.size())) continue;
        out.append(copied, value.at).append("\"***\"");
        copied = value.at + value.size;
    }
    if (step == JSON_BAD || copied == body.data()) return std::nullopt;
    return out.append(copied, body.data() + body.size());
}

} // namespace

extern "C" {

PROXY_ABI_0_2_1

void *PROXY_EXPORT(proxy_on_memory_allocate)(size_t size) { return std::malloc(size); }

void PROXY_EXPORT(proxy_on_context_create)(uint32_t id, uint32_t parent) {
    if (parent == 0)
        plugins[id];
    else
        streams[id] = {&plugins[parent]};
}

void PROXY_EXPORT(proxy_on_delete)(uint32_t id) { streams.erase(id); }

uint32_t PROXY_EXPORT(proxy_on_configure)(uint32_t id, size_t size) {
    Bytes config;
    proxy_get_buffer_bytes(PROXY_PLUGIN_CONFIGURATION, 0, size, &config.at, &config.size);
    auto plugin = parsed(config.text());
    if (plugin) {
        plugins[id] = *std::move(plugin);
        return true;
    }
    constexpr std::string_view message = "the configuration needs the texts header, value, mask and upstream";
    proxy_log(PROXY_LOG_ERROR, message.data(), message.size());
    return false;
}

uint32_t PROXY_EXPORT(proxy_on_request_headers)(uint32_t id, uint32_t, uint32_t end_of_stream) {
    const Plugin &plugin = *streams[id].plugin;
    add(PROXY_REQUEST_HEADERS, plugin.header, plugin.value);
    // The body will have another length.
    constexpr std::string_view length = "content-length";
    if (!end_of_stream) proxy_remove_header_map_value(PROXY_REQUEST_HEADERS, length.data(), length.size());

    auto path = header(PROXY_REQUEST_HEADERS, ":path");
    auto headers = encoded(
        {{":method", "GET"}, {":path", "/check"}, {":authority", plugin.upstream}, {"x-path", path}});
    uint32_t token;
    if (proxy_http_call(plugin.upstream.data(), plugin.upstream.size(), headers.data(), headers.size(), nullptr, 0,
                        nullptr, 0, call_milliseconds, &token) != PROXY_OK)
        return reply(503, "no policy service\n");
    calls[token] = id;
    return PROXY_PAUSE;
}

void PROXY_EXPORT(proxy_on_http_call_response)(uint32_t, uint32_t token, uint32_t, size_t, uint32_t) {
    auto waiting = calls.extract(token);
    // The client may have gone meanwhile.
    if (waiting.empty() || !streams.count(waiting.mapped())) return;
    bool allowed = header(PROXY_CALL_RESPONSE_HEADERS, ":status") == "200";
    auto user = header(PROXY_CALL_RESPONSE_HEADERS, "x-user");
    proxy_set_effective_context(waiting.mapped());
    // Nobody but the policy service says who it is.
    constexpr std::string_view name = "x-user";
    proxy_remove_header_map_value(PROXY_REQUEST_HEADERS, name.data(), name.size());
    if (!user.empty()) add(PROXY_REQUEST_HEADERS, name, user);
    if (allowed)
        proxy_continue_stream(PROXY_REQUEST);
    else
        reply(403, "denied by policy\n");
}

uint32_t PROXY_EXPORT(proxy_on_request_body)(uint32_t id, size_t size, uint32_t end_of_stream) {
    if (!end_of_stream) return PROXY_PAUSE;
    Bytes body;
    proxy_get_buffer_bytes(PROXY_REQUEST_BODY, 0, size, &body.at, &body.size);
    if (auto changed = masked(body.text(), streams[id].plugin->mask))
        proxy_set_buffer_bytes(PROXY_REQUEST_BODY, 0, body.size, changed->data(), changed->size());
    return PROXY_CONTINUE;
}

uint32_t PROXY_EXPORT(proxy_on_response_headers)(uint32_t id, uint32_t, uint32_t) {
    const Plugin &plugin = *streams[id].plugin;
    add(PROXY_RESPONSE_HEADERS, plugin.header, plugin.value);
    return PROXY_CONTINUE;
}
}
