"""The site as a browser shows it: every page in headless Chromium, at the width of a desk and of a phone."""

import contextlib
import functools
import html.parser
import http.server
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import threading
import urllib.parse
from pathlib import Path

import pytest

from jaxsim import losses

ROOT = Path(__file__).resolve().parents[2]
WIDTHS = 1300, 400
SECONDS = 400  # for all pages, on a busy machine; what hangs is a fault
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
pytestmark = [
    pytest.mark.thorough,
    pytest.mark.xdist_group("browser"),  # one build and one visit for all
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine"),
    pytest.mark.skipif(
        not all(map(importlib.util.find_spec, ("mkdocs", "mkdocstrings", "djangocms_katex"))),
        reason="mkdocs or KaTeX's files are not installed: make docs does it",
    ),
]

# Goes first into each page: what goes wrong from its first line on is noted.
WATCH = """<script>
window.faults = [];
addEventListener("error", e => faults.push(e.message || "cannot load " + (e.target.src || e.target.href)), true);
addEventListener("unhandledrejection", e => faults.push(String(e.reason)));
console.error = (...said) => faults.push(said.join(" "));
</script>"""

# Opens every page in a frame, one after the other, makes it narrow, and posts what it saw.
VISITOR = """<!doctype html><body><script>
const visit = (path, widths) => new Promise(done => {
  const frame = document.createElement("iframe");
  frame.style.cssText = `width: ${widths[0]}px; height: 900px; border: 0`;
  frame.onload = async () => {
    const page = frame.contentDocument, view = frame.contentWindow, root = page.documentElement;
    await page.fonts.ready;
    const images = [...page.images];
    await Promise.all(images.map(image => image.decode().catch(() => {})));
    const wide = [];
    for (const width of widths) {
      frame.style.width = `${width}px`;
      await new Promise(next => view.requestAnimationFrame(() => view.setTimeout(next, 0)));
      if (root.scrollWidth <= width) continue;
      const beyond = [...page.querySelectorAll("article *")].find(e => e.getBoundingClientRect().right > width + 1);
      wide.push(`${width}: ${root.scrollWidth}, ${beyond?.outerHTML.slice(0, 200)}`);
    }
    const equations = [...page.querySelectorAll(".equation")];
    const set = e => e.querySelector(".katex") && !e.querySelector(".katex-error");
    const loaded = view.performance.getEntriesByType("resource").map(r => r.name);
    done({
      path, wide, faults: view.faults,
      pictures: images.filter(i => !i.naturalWidth).map(i => i.src),
      equations: equations.length,
      unset: equations.filter(e => !set(e)).map(e => e.textContent),
      outside: loaded.filter(name => !name.startsWith(location.origin)),
    });
    frame.remove();
  };
  frame.src = path;
  document.body.append(frame);
});
(async () => {
  const {pages, widths} = await (await fetch("/visits.json")).json();
  const seen = [];
  for (const path of pages) seen.push(await visit(path, widths));
  await fetch("/seen", {method: "POST", body: JSON.stringify(seen)});
})();
</script>"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the built site."""
    folder = tmp_path_factory.mktemp("site")
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    command = [sys.executable, "-m", "mkdocs", "build", "-q", "--strict", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, env=environment, check=True)
    return folder


@pytest.fixture(scope="module")
def pages(site):
    """{path as a browser asks for it: file} of all pages."""
    files = [path for path in sorted(site.rglob("*.html")) if path.name == "index.html"]
    return {
        "/" + f"{path.parent.relative_to(site).as_posix()}/".removeprefix("./"): path
        for path in files
    }


@pytest.fixture(scope="module")
def seen(site, pages, tmp_path_factory):
    """What the browser saw: a dict for each page."""
    finished, answers = threading.Event(), []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_GET(self):
            if self.path == "/visit.html":
                return self.answer(VISITOR.encode(), "text/html")
            if self.path == "/visits.json":
                return self.answer(
                    json.dumps({"pages": list(pages), "widths": WIDTHS}).encode(), "text/json"
                )
            if self.path in pages:
                text = pages[self.path].read_text("utf-8").replace("<head>", "<head>" + WATCH, 1)
                return self.answer(text.encode(), "text/html; charset=utf-8")
            return super().do_GET()

        def do_POST(self):
            answers.extend(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.answer(b"", "text/plain")
            finished.set()

        def answer(self, body, kind):
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    handler = functools.partial(Handler, directory=str(site))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    profile = tmp_path_factory.mktemp("chromium")
    options = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--no-first-run",
    ]
    command = [CHROMIUM, *options, f"--user-data-dir={profile}", "--window-size=1400,1000"]
    address = f"http://127.0.0.1:{server.server_port}/visit.html"
    with contextlib.ExitStack() as stack:
        stack.callback(server.shutdown)
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        browser = subprocess.Popen([*command, address, "--remote-debugging-port=0"], **quiet)
        stack.callback(browser.wait, 20)
        stack.callback(browser.terminate)
        assert finished.wait(SECONDS), f"the browser did not open all pages in {SECONDS} s"
    return answers


def only(seen, part):
    return [(one["path"], one[part]) for one in seen if one[part]]


def test_every_page_was_opened(seen, pages):
    assert len(pages) > 60
    assert [one["path"] for one in seen] == list(pages)


def test_no_page_scrolls_sideways(seen):
    assert only(seen, "wide") == []


def test_every_equation_is_set(seen):
    assert only(seen, "unset") == []
    assert sum(one["equations"] for one in seen) > 250


def test_no_picture_is_broken_and_nothing_comes_from_elsewhere(seen):
    assert only(seen, "pictures") == []
    assert only(seen, "outside") == []


def test_the_console_is_empty(seen):
    assert only(seen, "faults") == []


class Anchors(html.parser.HTMLParser):
    """The links of a page, and the places that others may link to."""

    def __init__(self, text):
        super().__init__()
        self.links, self.places = [], {"", "__top"}
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        named = dict(attributes)
        self.places |= {named[name] for name in ("id", "name") if named.get(name)}
        if tag == "a" and named.get("href"):
            self.links.append(named["href"])


@pytest.fixture(scope="module")
def read(pages):
    return {path: Anchors(file.read_text("utf-8")) for path, file in pages.items()}


def test_every_public_name_has_its_place_with_what_it_returns(read, pages):
    places = set().union(*(anchors.places for anchors in read.values()))
    for room in sorted((ROOT / "docs/api").glob("*.md")):
        module = importlib.import_module(f"jaxsim.{room.stem}")
        names = [n for n, v in vars(module).items() if n[0] != "_" and callable(v)]
        assert [n for n in names if f"jaxsim.{room.stem}.{n}" not in places] == []
    names = [n for n, v in vars(losses).items() if n[0] != "_" and callable(v)]
    assert [n for n in names if f"jaxsim.losses.{n}" not in places] == []
    text = pages["/losses/pairs/"].read_text("utf-8")
    text = text[text.index('id="jaxsim.losses.info_nce"') :]
    for part in ("temperature</code> <small>= <code>0.05", 'data-tex="', "<dt>Returns</dt>"):
        assert part in text[: text.index('id="jaxsim.losses.joint_info_nce"')]


def test_no_link_is_broken(site, read):
    broken = []
    for path, anchors in read.items():
        for link in anchors.links:
            target = urllib.parse.urlsplit(urllib.parse.urljoin(path, link))
            if target.scheme or target.netloc:
                continue
            place = urllib.parse.unquote(target.path)
            there = place in read or (site / place.lstrip("/")).is_file()
            if not there or (
                place in read and urllib.parse.unquote(target.fragment) not in read[place].places
            ):
                broken.append((path, link))
    assert broken == []
