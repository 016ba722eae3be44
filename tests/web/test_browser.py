"""The page in a real browser, of a real mount's project, by mouse, by keyboard, on a phone, in the dark."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import pytest
from selenium.webdriver import ActionChains, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from tests.support.browser import Browser, browser
from tests.support.ledgers import many
from tests.support.mounts import Host, Mount, host
from tests.support.processes import ROOT, wait_until
from tests.web.test_ui import ui
from vstorefs import projectsources
from vstorefs.state.env import State

pytestmark = pytest.mark.mount
PROJECT = """
project = "mnist"
default = "results"
[stores.inputs]
url = "file://{folder}/inputs"
listing-seconds = 0
[stores.results]
url = "file://{folder}/results"
"""
TRAIN = """
import os, pathlib, sys
mount = pathlib.Path(os.environ["VSTOREFS_MOUNT"])
rows = [(mount / "inputs" / name).read_text().splitlines() for name in sys.argv[2:]]
if int(sys.argv[1]) > 9:
    sys.exit(3)
(mount / "results/model.txt").write_text(f"{sum(map(len, rows))} rows\\n")
"""
ODD = "odd <script>alert(1) <b>\"name' &amp; more.txt"
RUNS = 10_000


@dataclass
class Story:
    """A browser that has come in, at the page of a project in which something has happened."""

    browser: Browser
    base: str
    mount: Mount
    pictures: Path | None

    def open(self, where: str, **query: str) -> None:
        self.browser.get(f"{self.base}{where}{'?' if query else ''}{urlencode(query)}")

    def file(self, path: str) -> None:
        self.open("/file", path=path)

    def run(self, name: str) -> None:
        self.open("/", search=name)
        self.find("a.run").click()

    def find(self, selector: str) -> WebElement:
        return self.browser.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector: str) -> list[WebElement]:
        return self.browser.find_elements(By.CSS_SELECTOR, selector)

    @property
    def text(self) -> str:
        return self.find("body").text

    def picture(self, name: str) -> None:
        """Write what is seen for the documentation, where that is asked for."""
        if self.pictures is not None:
            wait_until(self.browser.loaded, "whole page")
            self.browser.save_screenshot(str(self.pictures / f"ui-{name}.png"))


@pytest.fixture(scope="module")
def pictures(request: pytest.FixtureRequest) -> Path | None:
    return request.config.getoption("--write-screenshots", default=None)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory, pictures: Path | None) -> Iterator[Story]:
    with contextlib.ExitStack() as stack:
        folder = tmp_path_factory.mktemp("ui")
        if pictures is not None:
            # A name that reads well in pictures.
            folder = Path("/tmp/mnist")
            folder.mkdir()
            stack.callback(shutil.rmtree, folder)
        one = stack.enter_context(host(folder / "ada"))
        mount = _what_happened(one, folder)
        _, address = stack.enter_context(ui(one, "--no-browser", "--mount", mount.path))
        chromium = stack.enter_context(browser(tmp_path_factory.mktemp("chromium")))
        base = address.partition("/enter")[0]
        # From a file, as `vstorefs ui` itself opens it.
        door = folder / "door.html"
        door.write_text(f'<meta http-equiv="refresh" content="0; url={address}">')
        chromium.get(door.as_uri())
        wait_until(lambda: chromium.current_url == f"{base}/", "list of runs")
        yield Story(chromium, base, mount, pictures)


def _what_happened(one: Host, folder: Path) -> Mount:
    (folder / "inputs").mkdir()
    (folder / "results").mkdir()
    (folder / "inputs" / ODD).write_text("odd\n")
    mount = one.project(PROJECT.format(folder=folder), name="data")
    (mount / "inputs/train.csv").write_text(_table(1))
    (mount / "inputs/labels.csv").write_text("a,1\nb,2\n")
    assert (mount / f"inputs/{ODD}").read_text() == "odd\n"
    (folder / "work").mkdir()
    (folder / "work/train.py").write_text(TRAIN)
    _train(one, mount, "baseline", "3", "train.csv", "labels.csv")
    _train(one, mount, "again", "3", "train.csv", "labels.csv")
    # Another program does this, behind the mount's back.
    new = folder / "inputs/new"
    new.write_text(_table(2))
    # An hour old, so that its size and times are trusted at once.
    os.utime(new, (new.stat().st_mtime - 3600,) * 2)
    new.replace(folder / "inputs/train.csv")
    _train(one, mount, "after the change", "5", "train.csv", "labels.csv")
    _train(one, mount, "broken", "10", "labels.csv")
    (mount / "inputs/labels.csv").write_text("a,1\nb,3\nc,4\n")
    (mount / "inputs/labels.csv").write_text("a,1\nb,3\nc,4\nd,5\n")
    one.run("flush")
    return mount


def _train(one: Host, mount: Mount, name: str, *arguments: str) -> None:
    command = ("run", "--name", name, "--mount", mount.path, "--", "python3", "train.py")
    found = subprocess.run(
        [sys.executable, "-m", "vstorefs.cli.main", *map(str, command), *arguments],
        cwd=one.folder.parent / "work",
        env={**one.env, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert f"({name})" in found.stderr or f"vstorefs show {shlex.quote(name)}" in found.stderr, (
        found.stderr
    )


def _table(turn: int) -> str:
    return "".join(f"{n},{n * n if n % 20 else turn * 1000}\n" for n in range(1, 101))


@pytest.fixture
def story(told: Story) -> Iterator[Story]:
    told.browser.window(1000, 640)
    told.browser.prefer("light")
    told.browser.troubles()
    yield told
    assert told.browser.troubles() == [], "the browser refused something"


def test_the_token_does_not_stay_in_the_address(story: Story) -> None:
    story.open("/")
    assert story.browser.current_url == f"{story.base}/"
    assert story.browser.execute_script("return document.cookie") == ""
    assert "token" not in story.browser.page_source


def test_the_list_shows_runs_and_what_they_were_warned_of(story: Story) -> None:
    story.open("/")
    story.picture("runs")
    rows = {
        row.find_element(By.CSS_SELECTOR, "a.run").text.partition(" ")[2]: row.text
        for row in story.all("table.runs tbody")
    }
    assert {"baseline", "again", "after the change", "broken"} <= set(rows)
    assert "1 warning inputs/train.csv: warning: changed since run" in rows["after the change"]
    assert "warning" not in rows["again"]
    assert "failed (3)" in rows["broken"]


def test_a_run_leads_to_the_run_before_and_to_the_file(story: Story) -> None:
    story.run("after the change")
    story.picture("run")
    assert "inputs/train.csv changed" in story.text
    assert len(story.all("#warnings .contents dd")) == 2
    sums = [one.text for one in story.all("#warnings code.hash") if len(one.text) == 64]
    assert len(set(sums)) == 2
    story.find(".warned a.path").click()
    assert story.find("h1").text == "inputs/train.csv"
    story.browser.back()
    story.find(".warned .since a.run").click()
    assert story.find("h1").text.startswith("again")


def test_hashes_are_short_and_can_be_had_in_full(story: Story) -> None:
    story.run("baseline")
    shown = story.find("table.files code.hash[title]:not([title=''])")
    narrow = shown.size["width"]
    assert len(shown.text) >= 20
    story.find(".full-hashes").click()
    assert shown.size["width"] > narrow
    chosen = story.browser.execute_script(
        "getSelection().selectAllChildren(arguments[0]); return getSelection().toString()", shown
    )
    assert chosen == shown.get_attribute("title")


def test_the_log_of_the_mount_is_there(story: Story) -> None:
    story.run("baseline")
    assert "/inputs/train.csv: sha256 sum:" in story.find("pre.log").text


def test_two_versions_of_a_text_are_compared(story: Story) -> None:
    story.file("inputs/labels.csv")
    rows = story.all("table.versions tbody tr")
    assert len(rows) == 3
    oldest = rows[-1].find_element(By.CSS_SELECTOR, "input[name=old]")
    oldest.click()
    story.find("form[action^='/file#'] button").click()
    wait_until(lambda: bool(story.all("#difference")), "difference")
    assert [one.text for one in story.all("tr.removed .text")] == ["b,2"]
    assert [one.text for one in story.all("tr.added .text")] == ["b,3", "c,4", "d,5"]
    story.browser.execute_script("scrollTo(0, 0)")
    story.picture("file")


def test_the_command_that_is_shown_restores(story: Story) -> None:
    file = story.mount / "inputs/it's back.txt"
    file.write_text("first\n")
    file.write_text("second\n")
    file.unlink()
    story.file("inputs/it's back.txt")
    row = story.all("table.versions tbody tr")[-1]
    row.find_element(By.CSS_SELECTOR, "summary").click()
    program, *arguments = shlex.split(row.find_element(By.CSS_SELECTOR, "code.type").text)
    assert program == "vstorefs"
    story.mount.host.run(*arguments)
    assert file.read_text() == "first\n"
    story.browser.refresh()
    assert len(story.all("table.versions tbody tr")) == 4


def test_a_name_with_markup_is_a_name(story: Story) -> None:
    story.run("mount")
    assert "mount" in story.text
    story.find("table.files a.path").click()
    assert story.find("h1").text == f"inputs/{ODD}"
    assert story.all("script") == []


def test_warnings_and_mounts_are_told(story: Story) -> None:
    story.open("/warnings")
    story.picture("warnings")
    assert f"vstorefs ack {story.mount / 'inputs/train.csv'} --why" in story.text
    story.open("/mounts")
    assert str(story.mount.path) in story.text
    assert "Pending\n0" in story.text
    assert f"file://{story.mount.host.folder.parent}/inputs" in story.text


def test_everything_can_be_reached_by_keyboard(story: Story) -> None:
    story.open("/")
    keys = ActionChains(story.browser)
    keys.send_keys(Keys.TAB).perform()
    skip = story.browser.switch_to.active_element
    assert skip.text == "Skip to content"
    assert skip.location["x"] >= 0
    keys.send_keys(Keys.ENTER).perform()
    ActionChains(story.browser).send_keys(Keys.TAB).perform()
    field = story.browser.switch_to.active_element
    assert field.get_attribute("name") == "search"
    assert field.value_of_css_property("outline-style") == "solid"
    field.send_keys("baseline", Keys.ENTER)
    wait_until(lambda: "search=baseline" in story.browser.current_url, "what was searched for")
    for _ in range(20):
        ActionChains(story.browser).send_keys(Keys.TAB).perform()
        at = story.browser.switch_to.active_element
        assert at.value_of_css_property("outline-style") != "none"
        if "run" in (at.get_attribute("class") or ""):
            break
    story.browser.switch_to.active_element.send_keys(Keys.ENTER)
    wait_until(lambda: "/runs/" in story.browser.current_url, "page of the run")
    assert story.find("h1").text.startswith("baseline")


PAGES = ["runs", "run", "file", "difference", "warnings", "mounts", "find", "error"]


def _go(story: Story, page: str) -> None:
    match page:
        case "run":
            story.run("after the change")
        case "file":
            story.file(f"inputs/{ODD}")
        case "difference":
            story.file("inputs/labels.csv")
            story.find("form[action^='/file#'] button").click()
            wait_until(lambda: bool(story.all("#difference")), "difference")
        case _:
            story.open(
                {"runs": "/", "find": "/file", "error": "/file?path=.."}.get(page, f"/{page}")
            )
    wait_until(story.browser.loaded, "whole page")


@pytest.mark.parametrize("page", PAGES)
def test_a_phone_needs_no_scrolling_sideways(story: Story, page: str) -> None:
    story.browser.window(360, 740, phone=True)
    _go(story, page)
    assert not story.browser.scrolls_sideways()
    if page == "runs":
        story.picture("runs-phone")
    story.browser.troubles() if page == "error" else None


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read_in_light_and_dark(story: Story, page: str, scheme: str) -> None:
    story.browser.prefer(scheme)
    _go(story, page)
    if scheme == "dark" and page == "run":
        story.picture("run-dark")
    back = _brightness(story.find("body").value_of_css_property("background-color"))
    assert (back > 0.8) if scheme == "light" else (back < 0.05)
    assert [one for one in story.browser.execute_script(_COLOURS) if _contrast(one) < 4.5] == []
    story.browser.troubles() if page == "error" else None


def test_the_command_that_is_shown_ends_a_warning(story: Story) -> None:
    story.open("/warnings", search="train.csv")
    command = story.find("code.type").text
    story.mount.host.run(*shlex.split(command)[1:])
    story.browser.refresh()
    assert "No path with a warning" in story.text


def test_ten_thousand_runs_are_paged_and_searched(story: Story) -> None:
    folder = story.mount.host.folder
    shown = projectsources.load(folder / "data.toml", {})
    state = State.open(folder / "home/.local/state/vstorefs")
    try:
        many(state, shown.default_store.id, RUNS)
    finally:
        state.close()
    story.open("/")
    names: list[str] = []
    for _ in range(4):
        names += [one.text for one in story.all("a.run")]
        story.find("a[rel=next]").click()
    assert len(names) == len(set(names)) == 200
    story.find("input[type=search]").send_keys("even-77", Keys.ENTER)
    wait_until(lambda: "even-77" in story.browser.current_url, "what was searched for")
    found = {one.text.partition(" ")[2] for one in story.all("a.run")}
    story.find("a[rel=next]").click()
    found |= {one.text.partition(" ")[2] for one in story.all("a.run")}
    assert found == {f"even-{n}" for n in range(0, RUNS, 2) if str(n).startswith("77")}
    assert story.all("a[rel=next]") == []


_COLOURS = """
const found = new Map();
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const element = walker.currentNode.parentElement;
  if (!walker.currentNode.textContent.trim() || !element.checkVisibility()) continue;
  let behind = element;
  while (behind && getComputedStyle(behind).backgroundColor == "rgba(0, 0, 0, 0)") behind = behind.parentElement;
  const pair = [getComputedStyle(element).color, getComputedStyle(behind || document.body).backgroundColor];
  found.set(pair.join("|"), [...pair, walker.currentNode.textContent.trim().slice(0, 40)]);
}
return [...found.values()];
"""


def _brightness(colour: str) -> float:
    """How bright a colour is, from 0 to 1. Source: WCAG 2.2, relative luminance."""
    parts = [int(one) / 255 for one in re.findall(r"\d+", colour)[:3]]
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(pair: list[str]) -> float:
    """How well a text stands out. Source: WCAG 2.2, contrast ratio."""
    dark, light = sorted(_brightness(one) for one in pair[:2])
    return (light + 0.05) / (dark + 0.05)
