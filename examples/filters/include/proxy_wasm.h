/* The proxy-wasm ABI 0.2.1, for filters in C and C++ (https://github.com/proxy-wasm/spec).
 *
 * Only declarations: the functions of the proxy, the numbers they take, and a macro for the callbacks that a filter
 * exports. What a filter does not call is not imported. Bytes that the proxy hands over lie in memory that it got from
 * the filter's proxy_on_memory_allocate, and are the filter's to free. No bytes are address 0 and size 0. */
#ifndef PROXY_WASM_H
#define PROXY_WASM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum proxy_status {
    PROXY_OK = 0,
    PROXY_NOT_FOUND = 1,
    PROXY_BAD_ARGUMENT = 2,
    PROXY_INVALID_MEMORY_ACCESS = 6,
    PROXY_EMPTY = 7,
    PROXY_CAS_MISMATCH = 8,
    PROXY_INTERNAL_FAILURE = 10,
    PROXY_UNIMPLEMENTED = 12,
};

enum proxy_log_level {
    PROXY_LOG_TRACE = 0,
    PROXY_LOG_DEBUG = 1,
    PROXY_LOG_INFO = 2,
    PROXY_LOG_WARN = 3,
    PROXY_LOG_ERROR = 4,
    PROXY_LOG_CRITICAL = 5,
};

/* What a callback answers. After PROXY_PAUSE the stream waits for proxy_continue_stream; a body that was paused is kept
 * and is seen whole in the next callback. */
enum proxy_action { PROXY_CONTINUE = 0, PROXY_PAUSE = 1 };

enum proxy_map {
    PROXY_REQUEST_HEADERS = 0,
    PROXY_REQUEST_TRAILERS = 1,
    PROXY_RESPONSE_HEADERS = 2,
    PROXY_RESPONSE_TRAILERS = 3,
    PROXY_GRPC_INITIAL_METADATA = 4,
    PROXY_GRPC_TRAILING_METADATA = 5,
    PROXY_CALL_RESPONSE_HEADERS = 6,
    PROXY_CALL_RESPONSE_TRAILERS = 7,
};

enum proxy_buffer {
    PROXY_REQUEST_BODY = 0,
    PROXY_RESPONSE_BODY = 1,
    PROXY_DOWNSTREAM_DATA = 2,
    PROXY_UPSTREAM_DATA = 3,
    PROXY_CALL_RESPONSE_BODY = 4,
    PROXY_GRPC_MESSAGE = 5,
    PROXY_VM_CONFIGURATION = 6,
    PROXY_PLUGIN_CONFIGURATION = 7,
    PROXY_FOREIGN_DATA = 8,
};

enum proxy_stream { PROXY_REQUEST = 0, PROXY_RESPONSE = 1, PROXY_DOWNSTREAM = 2, PROXY_UPSTREAM = 3 };

enum proxy_metric { PROXY_COUNTER = 0, PROXY_GAUGE = 1, PROXY_HISTOGRAM = 2 };

#define PROXY_EXPORT(name) __attribute__((export_name(#name))) name
#define PROXY_IMPORT(name) __attribute__((import_module("env"), import_name(#name))) uint32_t name

/* The marker by which the proxy knows the ABI: to be written once, in one file of the filter. */
#define PROXY_ABI_0_2_1 \
    __attribute__((export_name("proxy_abi_version_0_2_1"))) void proxy_abi_version_0_2_1(void) {}

PROXY_IMPORT(proxy_log)(uint32_t level, const char *message, size_t size);
PROXY_IMPORT(proxy_get_log_level)(uint32_t *level);
PROXY_IMPORT(proxy_get_current_time_nanoseconds)(uint64_t *time);
PROXY_IMPORT(proxy_set_tick_period_milliseconds)(uint32_t period);
PROXY_IMPORT(proxy_set_effective_context)(uint32_t context);
PROXY_IMPORT(proxy_done)(void);

PROXY_IMPORT(proxy_get_buffer_bytes)(uint32_t buffer, size_t start, size_t max_size, char **bytes, size_t *size);
PROXY_IMPORT(proxy_set_buffer_bytes)(uint32_t buffer, size_t start, size_t replaced, const char *bytes, size_t size);
PROXY_IMPORT(proxy_get_buffer_status)(uint32_t buffer, size_t *size, uint32_t *flags);

/* Pairs: a number of entries, the sizes of each name and value, then each name and value with a NUL behind; all
 * numbers are 32 bits, little endian. */
PROXY_IMPORT(proxy_get_header_map_pairs)(uint32_t map, char **pairs, size_t *size);
PROXY_IMPORT(proxy_set_header_map_pairs)(uint32_t map, const char *pairs, size_t size);
PROXY_IMPORT(proxy_get_header_map_value)
(uint32_t map, const char *name, size_t name_size, char **value, size_t *value_size);
PROXY_IMPORT(proxy_add_header_map_value)
(uint32_t map, const char *name, size_t name_size, const char *value, size_t value_size);
PROXY_IMPORT(proxy_replace_header_map_value)
(uint32_t map, const char *name, size_t name_size, const char *value, size_t value_size);
PROXY_IMPORT(proxy_remove_header_map_value)(uint32_t map, const char *name, size_t name_size);
PROXY_IMPORT(proxy_get_header_map_size)(uint32_t map, size_t *size);

/* The segments of a path are joined by NUL. */
PROXY_IMPORT(proxy_get_property)(const char *path, size_t path_size, char **value, size_t *value_size);
PROXY_IMPORT(proxy_set_property)(const char *path, size_t path_size, const char *value, size_t value_size);

PROXY_IMPORT(proxy_continue_stream)(uint32_t stream);
PROXY_IMPORT(proxy_close_stream)(uint32_t stream);
/* `headers` are pairs, or no bytes; `grpc_status` is -1 for none. */
PROXY_IMPORT(proxy_send_local_response)
(uint32_t status, const char *details, size_t details_size, const char *body, size_t body_size, const char *headers,
 size_t headers_size, int32_t grpc_status);

/* The answer comes to proxy_on_http_call_response, which is called for the plugin's context: a filter finds the stream
 * by the token. */
PROXY_IMPORT(proxy_http_call)
(const char *upstream, size_t upstream_size, const char *headers, size_t headers_size, const char *body,
 size_t body_size, const char *trailers, size_t trailers_size, uint32_t timeout_milliseconds, uint32_t *token);
PROXY_IMPORT(proxy_grpc_call)
(const char *upstream, size_t upstream_size, const char *service, size_t service_size, const char *method,
 size_t method_size, const char *metadata, size_t metadata_size, const char *message, size_t message_size,
 uint32_t timeout_milliseconds, uint32_t *token);
PROXY_IMPORT(proxy_grpc_stream)
(const char *upstream, size_t upstream_size, const char *service, size_t service_size, const char *method,
 size_t method_size, const char *metadata, size_t metadata_size, uint32_t *token);
PROXY_IMPORT(proxy_grpc_send)(uint32_t token, const char *message, size_t size, uint32_t end_of_stream);
PROXY_IMPORT(proxy_grpc_cancel)(uint32_t token);
PROXY_IMPORT(proxy_grpc_close)(uint32_t token);
PROXY_IMPORT(proxy_get_status)(uint32_t *code, char **message, size_t *size);

PROXY_IMPORT(proxy_get_shared_data)
(const char *key, size_t key_size, char **value, size_t *value_size, uint32_t *cas);
PROXY_IMPORT(proxy_set_shared_data)
(const char *key, size_t key_size, const char *value, size_t value_size, uint32_t cas);
PROXY_IMPORT(proxy_register_shared_queue)(const char *name, size_t size, uint32_t *queue);
PROXY_IMPORT(proxy_resolve_shared_queue)
(const char *vm_id, size_t vm_id_size, const char *name, size_t name_size, uint32_t *queue);
PROXY_IMPORT(proxy_enqueue_shared_queue)(uint32_t queue, const char *item, size_t size);
PROXY_IMPORT(proxy_dequeue_shared_queue)(uint32_t queue, char **item, size_t *size);

PROXY_IMPORT(proxy_define_metric)(uint32_t kind, const char *name, size_t size, uint32_t *metric);
PROXY_IMPORT(proxy_increment_metric)(uint32_t metric, int64_t offset);
PROXY_IMPORT(proxy_record_metric)(uint32_t metric, uint64_t value);
PROXY_IMPORT(proxy_get_metric)(uint32_t metric, uint64_t *value);

PROXY_IMPORT(proxy_call_foreign_function)
(const char *name, size_t name_size, const char *argument, size_t argument_size, char **result, size_t *result_size);

#undef PROXY_IMPORT

#ifdef __cplusplus
}
#endif

#endif
