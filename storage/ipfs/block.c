#include "storage/ipfs/block.h"

#include "common/memory.h"

#include <jansson.h>

static int
check_block (struct http_call *call, struct error *err)
{
  return cid_check (call->wanted, buffer_bytes (&call->answer), err);
}

/* The RPC takes POST only, so that no web page can ask it. */
void
ipfs_block_init (const struct ipfs *ipfs, struct http_call *call, const struct cid *cid)
{
  char text[CID_TEXT_SIZE];
  (void) cid_format (cid, text);
  if (ipfs->api != NULL)
    {
      http_call_init (call, xasprintf ("%s/api/v0/block/get?arg=%s", ipfs->api, text));
      call->method = "POST";
    }
  else
    http_call_init (call, xasprintf ("%s/ipfs/%s?format=raw", ipfs->gateway, text));
  call->limit = IPFS_BLOCK_MAX;
  call->wanted = cid;
  call->check = check_block;
}

void
ipfs_explain (void *context, const struct http_call *call, struct error *err)
{
  const struct ipfs *ipfs = context;
  json_t *root =
      json_loadb (call->answer.data == NULL ? "" : call->answer.data, call->answer.size, 0, NULL);
  const char *message = json_string_value (json_object_get (root, "Message"));
  auto_free char *text = message == NULL ? NULL : xstrndup (message, 300);
  for (char *at = text; at != NULL && *at != '\0'; at++)
    if ((unsigned char) *at < ' ')
      *at = ' ';
  (void) http_error (call, text, err);
  json_decref (root);
  if (call->status == 403 && ipfs->api != NULL)
    (void) error_wrap (err, "the node's RPC API denied access");
}
