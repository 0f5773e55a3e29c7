/* What a refusal says of the file that was asked for. */
#include "storage/fetcher_internal.h"

int
fetcher_explain (const struct fetch_source *source, const struct fetched_file *file,
                 const struct http_call *call, struct error *err)
{
  switch (call->status)
    {
    case 404:
    case 410:
      return error_set (err, ERROR_USER, "no longer exists (HTTP %d)", call->status);
    case 412:
      return error_set (err, ERROR_USER, "has changed since it was listed (HTTP 412)");
    case 416:
      return error_set (err, file->item.version == NULL ? ERROR_TRANSIENT : ERROR_USER,
                        "has changed: the requested range no longer exists (HTTP 416)");
    default:
      if (source->explain != NULL && call->status >= 300)
        source->explain (source->context, call, err);
      return -1;
    }
}
