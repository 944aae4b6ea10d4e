"""What becomes of every property of the AWS::Lambda::* types: implemented, harmless, or refused at deploy by name.

The tables name every property of the CloudFormation reference, nested ones by their dotted path; a unit test compares
them with the resource schemas that cfn-lint brings along, and docs/fidelity.md shows them. A property that is in no
table is unknown to CloudFormation as well. Event source mappings have rules of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from harness.errors import TemplateError

Fate = Literal["implemented", "harmless", "refused"]


@dataclass(frozen=True)
class Property:
    """What becomes of one property, and why. A refused one may still be given a value of `accepts`, where AWS then does
    what happens here anyway; `nested` properties have rules of their own."""

    fate: Fate
    why: str
    accepts: tuple[str, ...] = ()
    nested: Mapping[str, Property] | None = None


def _does(why: str, nested: Mapping[str, Property] | None = None) -> Property:
    return Property("implemented", why, nested=nested)


def _harmless(why: str, nested: Mapping[str, Property] | None = None) -> Property:
    return Property("harmless", why, nested=nested)


def _refused(why: str, *accepts: str, nested: Mapping[str, Property] | None = None) -> Property:
    return Property("refused", why, accepts, nested)


_NO_PERMISSIONS = "no permission is checked here"
_NO_INSTANCES = "functions run on demand only; leave it out"

_FUNCTION: dict[str, Property] = {
    "Architectures": _harmless("x86_64 or arm64; functions run on this machine's own architecture"),
    "CapacityProviderConfig": _refused(_NO_INSTANCES),
    "Code": _does(
        "a zip file in S3 or inline",
        {
            "ImageUri": _refused("container images are not supported; give S3Bucket and S3Key, or ZipFile"),
            "S3Bucket": _does("where the zip file lies"),
            "S3Key": _does("where the zip file lies"),
            "S3ObjectStorageMode": _refused("packages are copied; leave it out", "COPY"),
            "S3ObjectVersion": _does("this version of the object"),
            "SourceKMSKeyArn": _harmless("nothing is encrypted at rest here"),
            "ZipFile": _does("becomes index.py"),
        },
    ),
    "CodeSigningConfigArn": _refused("signatures are not checked; leave it out"),
    "DeadLetterConfig": _does(
        "asynchronous events that failed for good", {"TargetArn": _does("a standard SQS queue; SNS topics are refused")}
    ),
    "Description": _harmless("text for people"),
    "DurableConfig": _refused("durable functions are not emulated; leave it out"),
    "Environment": _does("as on AWS, reserved names refused", {"Variables": _does("at most 4 KB in all")}),
    "EphemeralStorage": _harmless(
        "the range is checked, the size not enforced: /tmp is a folder of this machine",
        {"Size": _harmless("512 to 10240 MB; not enforced")},
    ),
    "FileSystemConfigs": _refused("file systems are not mounted; leave it out"),
    "FunctionName": _does("at most 64 letters, digits, hyphens and underscores"),
    "FunctionScalingConfig": _refused(_NO_INSTANCES),
    "Handler": _does("module.function"),
    "ImageConfig": _refused("container images are not supported; leave it out"),
    "KmsKeyArn": _harmless("variables are not encrypted at rest here"),
    "Layers": _refused("layers are not supported; put their content into the deployment package"),
    "LoggingConfig": _does(
        "format, levels and group",
        {
            "ApplicationLogLevel": _does("with LogFormat JSON"),
            "LogFormat": _does("Text or JSON"),
            "LogGroup": _does("where the log goes"),
            "SystemLogLevel": _does("with LogFormat JSON"),
        },
    ),
    "MemorySize": _does("128 to 10240 MB"),
    "PackageType": _refused("container images are not supported; say Zip", "Zip"),
    "PublishToLatestPublished": _refused("versions are not published here; leave it out", "false"),
    "RecursiveLoop": _refused("recursive loops are not detected here; say Allow, or leave it out", "Allow"),
    "ReservedConcurrentExecutions": _does("0 and more, within the account's concurrency"),
    "Role": _harmless(_NO_PERMISSIONS),
    "Runtime": _does("python3.9 to python3.14, all run by this machine's Python; others are refused"),
    "RuntimeManagementConfig": _harmless(
        "the runtime is this machine's Python",
        {
            "RuntimeVersionArn": _refused("the runtime is this machine's Python; leave it out"),
            "UpdateRuntimeOn": _refused(
                "the runtime is this machine's Python; say Auto or FunctionUpdate", "Auto", "FunctionUpdate"
            ),
        },
    ),
    "SnapStart": _refused(
        "snapshots are not taken here; say None or leave it out",
        nested={"ApplyOn": _refused("snapshots are not taken here; say None", "None")},
    ),
    "Tags": _harmless("labels without an effect on the function"),
    "TenancyConfig": _refused("tenants are not isolated here; leave it out"),
    "Timeout": _does("1 to 900 seconds"),
    "TracingConfig": _refused(
        "no traces are kept here; say PassThrough or leave it out",
        nested={"Mode": _refused("no traces are kept here; say PassThrough", "PassThrough")},
    ),
    "VpcConfig": _refused("networks are not emulated; leave it out"),
}

_DESTINATION = {"Destination": _does("a standard SQS queue; other targets are refused")}

_EVENT_INVOKE_CONFIG: dict[str, Property] = {
    "DestinationConfig": _does(
        "records of finished events",
        {"OnFailure": _does("after the retries", _DESTINATION), "OnSuccess": _does("after a success", _DESTINATION)},
    ),
    "FunctionName": _does("a function of the template"),
    "MaximumEventAgeInSeconds": _does("60 to 21600"),
    "MaximumRetryAttempts": _does("0 to 2"),
    "Qualifier": _refused("there are no versions and aliases here; say $LATEST", "$LATEST"),
}

_PERMISSION: dict[str, Property] = {
    name: _harmless(_NO_PERMISSIONS)
    for name in (
        "Action",
        "EventSourceToken",
        "FunctionName",
        "FunctionUrlAuthType",
        "InvokedViaFunctionUrl",
        "Principal",
        "PrincipalOrgID",
        "SourceAccount",
        "SourceArn",
    )
}

PROPERTIES: Mapping[str, Mapping[str, Property]] = {
    "AWS::Lambda::Function": _FUNCTION,
    "AWS::Lambda::EventInvokeConfig": _EVENT_INVOKE_CONFIG,
    "AWS::Lambda::Permission": _PERMISSION,
}
"""Resource type to its properties."""

OWN_RULES = frozenset({"AWS::Lambda::EventSourceMapping"})
"""Types that are deployed and whose properties are checked elsewhere."""

REFUSED_TYPES: Mapping[str, str] = {
    "AWS::Lambda::Alias": "there are no versions and aliases here; refer to the function itself",
    "AWS::Lambda::CapacityProvider": _NO_INSTANCES,
    "AWS::Lambda::CodeSigningConfig": "signatures are not checked; leave it out",
    "AWS::Lambda::LayerVersion": "layers are not supported; put their content into the deployment package",
    "AWS::Lambda::LayerVersionPermission": "layers are not supported; leave it out",
    "AWS::Lambda::MicrovmImage": "functions run in processes of this machine; leave it out",
    "AWS::Lambda::NetworkConnector": "networks are not emulated; leave it out",
    "AWS::Lambda::ResourcePolicy": "no permission is checked here; leave it out, or say AWS::Lambda::Permission",
    "AWS::Lambda::Url": "functions have no URLs here; call Invoke",
    "AWS::Lambda::Version": "there are no versions and aliases here; refer to the function itself",
    "AWS::Lambda::WebFunction": "web functions are not emulated; leave it out",
    "AWS::Lambda::WebFunctionEndpoint": "web functions are not emulated; leave it out",
    "AWS::Lambda::WebFunctionRevision": "web functions are not emulated; leave it out",
}
"""Resource types that are refused, and the way out; other AWS::Lambda::* types are not known."""


def check_type(logical_id: str, kind: str) -> None:
    """Raise TemplateError where a resource has an AWS::Lambda::* type that is not emulated."""
    if kind in REFUSED_TYPES:
        raise TemplateError(
            f"resource {logical_id} has type {kind}, which the embedded engine refuses", hint=REFUSED_TYPES[kind]
        )
    if kind not in PROPERTIES and kind not in OWN_RULES:
        known = ", ".join(sorted([*PROPERTIES, *OWN_RULES]))
        raise TemplateError(f"resource {logical_id} has type {kind}, which is not emulated", hint=f"emulated: {known}")


def check_properties(logical_id: str, kind: str, properties: Mapping[str, Any]) -> None:
    """Raise TemplateError for a property that is unknown, or refused with the value it has.

    `properties` are resolved. A type with rules of its own passes.
    """
    if kind in PROPERTIES:
        _check(f"{logical_id}: ", kind, properties, PROPERTIES[kind])


def rows() -> Iterator[tuple[str, str, Fate, str]]:
    """Yield (resource type, dotted path, fate, why) of every property, for the documents."""
    for kind, table in PROPERTIES.items():
        for path, found in _flat("", table):
            yield kind, path, found.fate, _sentence(found)


def _flat(prefix: str, table: Mapping[str, Property]) -> Iterator[tuple[str, Property]]:
    for name, found in table.items():
        yield prefix + name, found
        if found.nested:
            yield from _flat(f"{prefix}{name}.", found.nested)


def _sentence(found: Property) -> str:
    if not found.accepts:
        return found.why
    return f"{found.why} (accepted: {', '.join(found.accepts)})"


def _check(where: str, kind: str, properties: Mapping[str, Any], table: Mapping[str, Property]) -> None:
    if not isinstance(properties, Mapping):
        raise TemplateError(f"{where.rstrip('. :')} is {properties!r}, an object is needed")
    for name, value in properties.items():
        found = table.get(name)
        if found is None:
            raise TemplateError(
                f"{where}{name} is not a property of {kind}", hint=f"known here: {', '.join(sorted(table))}"
            )
        if found.fate == "refused" and value in ("", [], {}):
            continue  # as good as not given
        if found.nested is not None:
            _check(f"{where}{name}.", kind, value, found.nested)
        elif found.fate == "refused" and _word(value) not in found.accepts:
            raise TemplateError(f"{where}{name} is refused by the embedded engine: {found.why}")


def _word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
