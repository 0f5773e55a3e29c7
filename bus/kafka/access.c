/* What the brokers' access control refuses, in words with the grant that is missing
 * (docs/operations.md has the table of who needs what). */
#include "bus/kafka/access.h"

#include "common/memory.h"

#include <string.h>

/* Who we are to the brokers, as far as our settings say. */
static const char *
user_of (const struct kafka_client *client)
{
  for (size_t i = 0; i + 1 < client->properties.count; i += 2)
    if (strcmp (client->properties.items[i], "sasl.username") == 0)
      return client->properties.items[i + 1];
  return NULL;
}

/* "topic", "group" or "cluster" with a name (NULL for the last). The caller frees. */
static char *
grant_command (const struct kafka_client *client, const char *operation, const char *kind,
               const char *name)
{
  const char *user = user_of (client);
  return xasprintf ("kafka-acls.sh --add --allow-principal User:%s --operation %s --%s%s%s",
                    user == NULL ? "…" : user, operation, kind, name == NULL ? "" : " ",
                    name == NULL ? "" : name);
}

int
access_lacks (const struct kafka_client *client, const char *operation, const char *kind,
              const char *name, struct error *err)
{
  const char *user = user_of (client);
  auto_free char *command = grant_command (client, operation, kind, name);
  return error_set (err, ERROR_TRANSIENT,
                    "%s: %s%s lacks permission: %s on %s%s%s (`%s`; see docs/operations.md)",
                    client->url, user == NULL ? "this user" : "user ", user == NULL ? "" : user,
                    operation, kind, name == NULL ? "" : " ", name == NULL ? "" : name, command);
}

bool
access_is_denied (rd_kafka_resp_err_t code)
{
  return code == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED
         || code == RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED
         || code == RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED;
}

int
access_explain (const struct kafka_client *client, rd_kafka_resp_err_t code, const char *operation,
                const char *topic, const char *text, struct error *err)
{
  return access_is_denied (code)
             ? access_lacks (client, operation, "topic", topic, err)
             : error_set (err, ERROR_USER, "%s: topic %s: %s", client->url, topic, text);
}

int
access_check_configs (const struct kafka_client *client, const rd_kafka_ConfigResource_t **found,
                      size_t count, struct error *err)
{
  for (size_t i = 0; i < count; i++)
    {
      rd_kafka_resp_err_t code = rd_kafka_ConfigResource_error (found[i]);
      if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return access_explain (client, code, "DescribeConfigs",
                               rd_kafka_ConfigResource_name (found[i]),
                               rd_kafka_ConfigResource_error_string (found[i]), err);
    }
  return 0;
}
