"""Files for .ci/lint-peers: parts of a Go module's archive, and strict JSON schemas from Kubernetes' API and KEDA's CRDs."""

import copy
import json
import pathlib
import sys
import zipfile


def unpack(archive, inside, target):
    """Takes one file, or with a trailing slash everything below a folder, out of an archive."""
    target = pathlib.Path(target)
    with zipfile.ZipFile(archive) as files:
        if not inside.endswith("/"):
            target.write_bytes(files.read(inside))
            return
        part = target.with_suffix(".part")
        for name in files.namelist():
            if name.startswith(inside) and not name.endswith("/"):
                out = part / name[len(inside):]
                out.parent.mkdir(parents=True, exist_ok=True)
                out.write_bytes(files.read(name))
        part.rename(target)


def strict(schema):
    """Refuses unknown fields wherever the fields are known."""
    if isinstance(schema, list):
        return [strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {key: strict(value) for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and not schema.get("x-kubernetes-preserve-unknown-fields"):
        schema.setdefault("additionalProperties", False)
    if schema.get("x-kubernetes-int-or-string") or schema.get("format") == "int-or-string":
        schema = {"oneOf": [{"type": "string"}, {"type": "integer"}]}
    return schema


def inline(schema, definitions, above=()):
    """Puts definitions in the place of references; one that holds itself is left open there."""
    if isinstance(schema, list):
        return [inline(item, definitions, above) for item in schema]
    if not isinstance(schema, dict):
        return schema
    reference = schema.get("$ref")
    if not isinstance(reference, str):
        return {key: inline(value, definitions, above) for key, value in schema.items()}
    name = reference.removeprefix("#/definitions/")
    if name in above:
        return {}
    if name.endswith("api.resource.Quantity"):
        return {"oneOf": [{"type": "string"}, {"type": "number"}]}
    return inline(definitions[name], definitions, (*above, name))


def write(folder, group, version, kind, schema):
    """One file a kind, named as kubeconform looks for it."""
    schema = copy.deepcopy(schema)
    schema["properties"]["apiVersion"] = {"const": f"{group}/{version}" if group else version}
    schema["properties"]["kind"] = {"const": kind}
    schema["required"] = sorted({*schema.get("required", []), "apiVersion", "kind", "metadata"})
    suffix = f"-{group.split('.')[0]}-{version}" if group else f"-{version}"
    (folder / f"{kind.lower()}{suffix}.json").write_text(json.dumps(schema))


def schemas(swagger, crds, target):
    import yaml

    folder = pathlib.Path(target)
    folder.mkdir(parents=True, exist_ok=True)
    definitions = json.loads(pathlib.Path(swagger).read_text())["definitions"]
    metadata = strict(inline(definitions["io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"], definitions))
    for definition in definitions.values():
        kinds = definition.get("x-kubernetes-group-version-kind", [])
        if len(kinds) == 1 and "metadata" in definition.get("properties", {}) and not kinds[0]["kind"].endswith("List"):
            kind = kinds[0]
            write(folder, kind["group"], kind["version"], kind["kind"], strict(inline(definition, definitions)))
    for path in sorted(pathlib.Path(crds).glob("*.yaml")):
        crd = yaml.safe_load(path.read_text())
        if not isinstance(crd, dict) or crd.get("kind") != "CustomResourceDefinition":
            continue
        for version in crd["spec"]["versions"]:
            schema = strict(version["schema"]["openAPIV3Schema"])
            schema["properties"]["metadata"] = metadata
            write(folder, crd["spec"]["group"], version["name"], crd["spec"]["names"]["kind"], schema)


{"unpack": unpack, "schemas": schemas}[sys.argv[1]](*sys.argv[2:])
