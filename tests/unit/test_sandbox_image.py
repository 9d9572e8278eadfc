"""What goes into the image, and which images of the product stay."""

from typing import Any

from ufos_sandbox.image.build import IMAGES_KEPT, image_names, outdated
from ufos_sandbox.image.site import library_closure, own_files


def listed(name: str, created: int, *tags: str) -> dict[str, Any]:
    return {"Id": name, "Created": created, "RepoTags": list(tags) or None}


def test_the_newest_images_stay_for_other_checkouts_and_older_ones_go():
    final = [listed(f"final-{n}", n, f"ufos-sandbox:{n}") for n in range(IMAGES_KEPT + 3)]
    base, libraries = listed("base", 0, "ufos-sandbox-base:a"), listed("libraries", 0, "ufos-sandbox-libraries:a")
    old, dangling = listed("old-libraries", 99, "ufos-sandbox-libraries:b"), listed("dangling", 99)
    gone = outdated([*final, base, libraries, old, dangling], {"base", "libraries", "final-0"})
    assert {i["Id"] for i in gone} == {"final-1", "final-2", "old-libraries", "dangling"}


def test_an_image_is_named_by_its_content():
    names = image_names()
    assert names == image_names()
    assert [n.partition(":")[0] for n in names] == ["ufos-sandbox-base", "ufos-sandbox-libraries", "ufos-sandbox"]


def test_no_host_code_goes_into_the_image():
    inside = {target for _, target in own_files()}
    assert "ufos_sandbox/guest/worker.py" in inside
    for room in ("ufos_nautilus/cli/", "ufos_nautilus/memory/", "ufos_sandbox/soak/", "ufos_sandbox/sandbox.py"):
        assert not [t for t in inside if t.startswith(room)]
    assert {"nautilus-trader", "polars", "pydantic", "msgspec"} <= set(library_closure())
    assert not {"docker", "mcp", "sqlalchemy"} & set(library_closure())
