"""The table "Who may do what" of docs/operations.md as ACLs of a real broker, by somebody else's client.

    acl.py parts                         the parts, one a line
    acl.py grants PART                   its grants, one a line: KIND NAME OPERATION; a name that ends in "*" is all that begin so
    acl.py allow BROKER/PREFIX USER      gives USER the grants on standard input, for the bus PREFIX
    acl.py forbid BROKER/PREFIX USER     takes them away
"""
import pathlib
import sys

from confluent_kafka.admin import AclBinding, AclBindingFilter, AclOperation, AclPermissionType, AdminClient, ResourcePatternType, ResourceType

DOCUMENT = pathlib.Path(__file__).parent.parent.parent / "docs" / "operations.md"
OPERATIONS = {"Read": AclOperation.READ, "Write": AclOperation.WRITE, "Describe": AclOperation.DESCRIBE, "Create": AclOperation.CREATE,
              "Alter": AclOperation.ALTER, "DescribeConfigs": AclOperation.DESCRIBE_CONFIGS}
SECONDS = 30


def table():
    lines = DOCUMENT.read_text().split("## Who may do what", 1)[1].split("\n## ", 1)[0].splitlines()
    rows = [[cell.strip().replace("`", "") for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]
    return rows[0][1:], rows[1:]


def grants(part):
    parts, rows = table()
    column = parts.index(part) + 1
    for row in rows:
        kind, name = row[0].split()
        for operation in filter(None, row[column].split(", ")):
            yield kind, name, operation


def change(place, user, allow):
    broker, prefix = place.split("/")
    admin = AdminClient({"bootstrap.servers": broker, "log_level": 3})
    for line in sys.stdin:
        kind, name, operation = line.split()
        pattern = ResourcePatternType.PREFIXED if name.endswith("*") else ResourcePatternType.LITERAL
        words = (ResourceType.GROUP if kind == "group" else ResourceType.TOPIC, f"{prefix}.{name.rstrip('*')}", pattern, f"User:{user}", "*",
                 OPERATIONS[operation], AclPermissionType.ALLOW)
        made = admin.create_acls([AclBinding(*words)]) if allow else admin.delete_acls([AclBindingFilter(*words)])
        for outcome in made.values():
            gone = outcome.result(SECONDS)
            if not allow and len(gone) != 1:
                raise SystemExit(f"{line.strip()}: {user} hasn't got it")


def main():
    action, *words = sys.argv[1:]
    if action == "parts":
        print("\n".join(table()[0]))
    elif action == "grants":
        for grant in grants(*words):
            print(*grant)
    elif action in ("allow", "forbid"):
        change(*words, action == "allow")
    else:
        raise SystemExit(__doc__)


main()
