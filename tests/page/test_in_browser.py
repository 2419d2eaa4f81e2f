"""The page in a browser, over a stand-in for the pipelines. With a real Triton: tests/server/test_page.py."""

from contextlib import closing
from itertools import pairwise

import pytest

from readability_triton.client.errors import InferenceError
from readability_triton.page.app import LARGEST_FILE, make_app
from readability_triton.page.bands import BANDS
from readability_triton.page.pipelines import BLS, ENSEMBLE
from readability_triton.page.scoring import MOST_SENTENCES
from readability_triton.page.server import listen, serving
from tests.page.browser import Tab
from tests.page.stand_in import StandIn

EASY = "The cat sat on a mat."
HARD = "Considerable extraordinary circumstances notwithstanding."
READY = "document.querySelector('.state.ready')"
SCORED = "document.querySelectorAll('.sentence').length"
ALERT = "document.querySelector('#alert .banner')"


@pytest.fixture
def page(tab: Tab, address: str) -> Tab:
    tab.open(address)
    tab.wait_for(READY)
    return tab


def score(page: Tab, text: str) -> None:
    page.value("document.querySelector('#text').value = ''; document.querySelector('#text').focus()")
    page.type(text)
    page.click("#score")
    page.wait_for(SCORED)


def test_a_text_is_typed_and_scored_by_the_keyboard_alone(page, pipelines):
    page.press("Tab")  # to the link that skips, to the file, the samples and the text
    for _ in range(3):
        page.press("Tab")
    assert page.value("document.activeElement.id") == "text"
    page.type(f"{EASY} {HARD}")
    page.press("Control", "Enter")
    page.wait_for(SCORED)
    assert pipelines.asked[0][1] == [f"{EASY} {HARD}"]
    assert page.text("#counts") == "10 words"
    assert "10 words in 1 passage. Both pipelines give the same score." in page.text("#agreement")


def test_sentences_are_coloured_by_how_hard_they_are(page):
    score(page, f"{EASY} {HARD}")
    easy, hard = page.value("[...document.querySelectorAll('.sentence')].map(each => Number(each.dataset.band))")
    assert easy > hard
    colours = page.value(
        "[...document.querySelectorAll('.sentence')].map(each => getComputedStyle(each).backgroundColor)"
    )
    assert colours[0] != colours[1]
    lines = page.value("[...document.querySelectorAll('.sentence')].map(each => getComputedStyle(each).textDecoration)")
    assert lines[0] != lines[1]  # not by colour alone


def test_arrow_keys_go_through_the_sentences_and_read_them_out(page):
    score(page, f"{EASY} {HARD} {EASY}")
    page.value("document.querySelector('.sentence').focus()")
    assert page.text("#readout").startswith("Sentence 1 of 3")
    for key, number in (
        ("ArrowRight", 2),
        ("End", 3),
        ("ArrowRight", 3),
        ("ArrowLeft", 2),
        ("Home", 1),
        ("ArrowLeft", 1),
    ):
        page.press(key)
        assert page.text("#readout").startswith(f"Sentence {number} of 3"), key
        assert page.value("document.querySelectorAll('.sentence[tabindex=\"0\"], [aria-selected=true]').length") == 1
    assert "90 % interval" in page.text("#readout")


def test_the_readout_stays_in_view_beside_a_long_text(page):
    score(page, " ".join([EASY, HARD] * 200))
    page.value("document.querySelector('.sentence').focus()")
    box = page.value(
        "(() => { const { top, bottom } = document.querySelector('#readout').getBoundingClientRect();"
        "return [top, bottom, innerHeight, document.querySelector('#reading').getBoundingClientRect().top]; })()"
    )
    assert box[3] < box[0] < box[1] <= box[2] + 1
    page.value("document.querySelector('#text-title').scrollIntoView({ block: 'end' })")
    overlap = page.value(
        "document.querySelector('#readout').getBoundingClientRect().top"
        " >= document.querySelector('#legend').getBoundingClientRect().bottom"
    )
    assert overlap  # it covers no heading


def test_the_text_on_display_is_the_text_itself(page):
    text = f"{EASY} \N{GRINNING FACE} {HARD}\n\n<b>Not</b> & bold. {EASY}"
    score(page, text)
    shown = page.value(
        "(() => { const copy = document.querySelector('#reading').cloneNode(true);"
        "copy.querySelectorAll('.hidden').forEach(each => each.remove()); return copy.textContent; })()"
    )
    assert shown == text
    assert page.value("document.querySelectorAll('#reading b').length") == 0


def test_both_answers_and_both_waterfalls_stand_side_by_side(page):
    score(page, f"{EASY} {HARD}")
    for selector in (".answer", ".waterfall"):
        tops, lefts = page.value(
            f"(() => {{ const boxes = [...document.querySelectorAll('{selector}')].map(e => e.getBoundingClientRect());"
            "return [boxes.map(b => b.top), boxes.map(b => b.left)]; })()"
        )
        assert tops[0] == tops[1]
        assert lefts[0] < lefts[1]
    assert ENSEMBLE in page.text(".waterfall:nth-child(1)")
    waterfall = page.text(".waterfall:nth-child(2)")
    assert all(words in waterfall for words in (BLS, "12.5 ms", "bert-large", "Critical path", "a stand-in"))
    bars = page.value(
        "[...document.querySelectorAll('.waterfall .compute')].map(each => each.getBoundingClientRect().width)"
    )
    assert len(bars) == 2
    assert min(bars) > 40


def test_an_empty_text_is_refused_and_gets_the_focus(page, pipelines):
    page.type("")
    page.click("#score")
    page.wait_for(ALERT)
    assert "There is no text yet" in page.text("#alert")
    assert page.value("document.activeElement.id") == "text"
    assert not pipelines.asked
    score(page, EASY)
    assert not page.value(ALERT)


def test_a_file_is_dropped(page, text_file):
    page.drop([text_file])
    page.wait_for(SCORED)
    assert page.value("document.querySelector('#text').value") == text_file.read_text()
    assert page.value("document.querySelector('#drop').hidden")


def test_a_file_that_cannot_be_read_is_reported_and_the_text_stays(page, tmp_path):
    page.value("document.querySelector('#text').focus()")
    page.type(EASY)
    (tmp_path / "a.docx").write_bytes(b"no zip")
    page.drop([tmp_path / "a.docx"])
    page.wait_for(ALERT)
    assert "a.docx cannot be read as DOCX" in page.text("#alert")
    assert page.value("document.querySelector('#text').value") == EASY
    assert len(page.complaints) == 1
    assert "400" in page.complaints.pop()  # the browser notes each status of 400 and above


def test_a_file_that_is_too_large_is_not_sent(page, tmp_path):
    with (tmp_path / "large.txt").open("wb") as file:
        file.truncate(LARGEST_FILE + 1)
    page.drop([tmp_path / "large.txt"])
    page.wait_for(ALERT)
    assert "large.txt is too large: the page takes 16 MiB at most" in page.text("#alert")


def test_a_sample_is_scored_when_it_is_chosen(page):
    page.choose("#sample", "1")
    page.wait_for(SCORED)
    assert "The foregoing" in page.value("document.querySelector('#text').value")


def test_policy_its_settings_and_weight_go_with_the_text(page, pipelines):
    score(page, EASY)
    page.choose("#policy", "deadline")
    page.choose("#setting-deadline_ms", "5")
    page.wait_for("document.querySelector('#busy').textContent === ''")
    page.choose("#weight", "0.4")
    page.wait_for("document.querySelector('#answers').textContent.includes('No interval')")
    asked = [each for each in pipelines.asked if each[0] == BLS][-1]
    assert asked[2:] == (0.4, {"policy": "deadline", "deadline_ms": 5})
    assert "0.40 encoder, 0.60 forest" in page.text("#weight-help")
    page.click("#fitted")
    page.wait_for("document.querySelector('#answers').textContent.includes('90 % interval')")
    assert page.value("document.activeElement.id") == "weight"


def test_a_flag_is_shown_as_a_warning(page, pipelines):
    pipelines.flags = ("short", "language:fr")
    score(page, EASY)
    warnings = page.value("[...document.querySelectorAll('.warning')].map(each => each.textContent)")
    assert warnings == [
        "Flag: short. The score is doubtful.",
        "Flag: in language fr. The score is doubtful.",
    ]


def test_pipelines_that_differ_are_reported(page, pipelines):
    pipelines.offset = 0.5
    score(page, EASY)
    assert "The pipelines differ by 0.50." in page.text("#agreement")


def test_one_pipeline_that_fails_leaves_the_other(page, pipelines):
    pipelines.errors[BLS] = InferenceError("out of memory")
    page.value("document.querySelector('#text').focus()")
    page.type(EASY)
    page.click("#score")
    page.wait_for("document.querySelector('.failed')")
    assert page.text(".failed") == "Out of memory"
    assert page.value("document.querySelectorAll('.waterfall').length") == 1
    assert "One of the pipelines gives no score" in page.text("#agreement")
    page.wait_for("document.querySelector('#reading-help').textContent.includes('Sentences have no score')")
    page.wait_for(ALERT)
    assert "502" in page.complaints.pop()


def test_a_server_that_dies_is_reported_and_the_text_is_scored_when_it_is_back(page, pipelines: StandIn):
    score(page, EASY)
    pipelines.die()
    page.value("document.querySelector('#text').focus()")
    page.type(f" {HARD}")
    page.press("Control", "Enter")
    page.wait_for(ALERT)
    assert page.text("#state") == "Triton does not answer"
    assert "no server at" in page.text("#alert").lower()
    assert HARD in page.value("document.querySelector('#text').value")
    assert not page.value("document.querySelector('#stale').hidden")
    pipelines.errors.clear()
    page.wait_for("document.querySelectorAll('.sentence').length === 2")  # by itself
    page.wait_for(READY)
    assert not page.value(ALERT)


def test_a_server_that_starts_is_waited_for(tab, address, pipelines):
    pipelines.die()
    tab.open(address)
    tab.wait_for(ALERT)
    assert tab.text("#state") == "Waiting for Triton"
    pipelines.errors.clear()
    tab.wait_for(READY)
    assert not tab.value(ALERT)


def test_a_focus_before_the_setup_is_there_offers_nothing_twice(tab, address):
    focus = """
      const original = fetch;
      window.fetch = (path, options) => {
        if (path === "api/setup") {
          window.fetch = original;
          dispatchEvent(new Event("focus"));
        }
        return original(path, options);
      };"""
    script = tab.command("Page.addScriptToEvaluateOnNewDocument", source=focus)
    try:
        tab.open(address)
        tab.wait_for(READY)
        tab.wait_for("performance.getEntriesByName(new URL('api/state', location)).length === 2")
    finally:
        tab.command("Page.removeScriptToEvaluateOnNewDocument", identifier=script["identifier"])
    assert len(tab.value("performance.getEntriesByName(new URL('api/setup', location))")) == 2
    for field in ("#sample", "#policy"):
        options = tab.value(f"[...document.querySelectorAll('{field} option')].map(each => each.value)")
        assert len(options) > 1
        assert len(options) == len(set(options)), field
    assert tab.value("document.querySelectorAll('#legend li').length") == len(BANDS)


def test_an_answer_that_breaks_off_is_reported_and_the_text_is_scored_again(page):
    page.value(
        "(() => { const original = fetch; window.fetch = (path, options) => {"
        " if (path !== 'api/score') return original(path, options);"
        " window.fetch = original; return Promise.resolve(new Response('{\"passages\": [')); }; })()"
    )
    page.value("document.querySelector('#text').focus()")
    page.type(EASY)
    page.click("#score")
    page.wait_for(ALERT)
    assert "Start `readability page` again" in page.text("#alert")
    page.wait_for(SCORED)


def test_sentences_that_are_not_scored_any_more_are_not_announced(page, pipelines):
    pipelines.may_end.clear()
    page.value("document.querySelector('#text').focus()")
    page.type(EASY)
    page.click("#score")
    page.wait_for("document.querySelector('#reading-help').textContent.includes('Scoring the sentences')")
    page.value("document.querySelector('#text').value = 'forbidden'")
    page.click("#score")
    page.wait_for(ALERT)
    assert page.text("#reading-help") == ""
    assert "400" in page.complaints.pop()


def test_a_text_with_too_many_sentences_is_scored_without_colours(page):
    page.value(f"document.querySelector('#text').value = 'cat\\n\\n'.repeat({MOST_SENTENCES + 1})")
    page.click("#score")
    page.wait_for(ALERT)
    assert "2,000 at most" in page.text("#alert")
    assert "2,000 at most" in page.text("#reading-help")
    assert page.value("document.querySelectorAll('.answer .figures').length") == 2
    assert page.value("document.querySelectorAll('.passage').length") > 1
    assert "400" in page.complaints.pop()


def test_text_that_was_changed_since_is_marked(page):
    score(page, EASY)
    assert page.value("document.querySelector('#stale').hidden")
    page.value("document.querySelector('#text').focus()")
    page.type(" More.")
    assert not page.value("document.querySelector('#stale').hidden")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 390, 1280])
def test_nothing_is_wider_than_the_window(page, scheme, width):
    page.show_as(width, 844, scheme)
    score(page, f"{EASY} {HARD} {'Averylongwordwithoutanyspace' * 20}")
    assert page.value("document.documentElement.scrollWidth") <= width
    cut = page.value(
        "[...document.querySelectorAll('main *')].filter(e => !e.closest('.hidden') && e.getClientRects().length"
        " && e.getBoundingClientRect().right > innerWidth + 1).map(e => e.outerHTML.slice(0, 80))"
    )
    assert cut == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out_from_what_is_behind_them(page, scheme):
    """WCAG 2.2, 1.4.3: a contrast of at least 4.5."""
    page.show_as(1280, 900, scheme)
    score(page, f"{EASY} {HARD} {EASY}")
    weak = page.value(CONTRAST)
    assert weak == []
    papers = page.value("getComputedStyle(document.documentElement).getPropertyValue('--paper')")
    assert papers.strip() == {"light": "#f6f6f3", "dark": "#131416"}[scheme]


CONTRAST = """(() => {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = (colour) => rgba(colour).slice(0, 3).map((value) => value / 255)
    .map((value) => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4)
    .reduce((sum, value, at) => sum + value * [0.2126, 0.7152, 0.0722][at], 0);
  const behind = (part) => {
    for (let each = part; each; each = each.parentElement) {
      const colour = getComputedStyle(each).backgroundColor;
      if (rgba(colour)[3] === 255) return colour;
    }
    return "white";
  };
  const found = [];
  for (const part of document.querySelectorAll("body *")) {
    const own = [...part.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!own || part.closest(".hidden, option, noscript, svg, .skip") || !part.getClientRects().length) continue;
    const [one, other] = [light(getComputedStyle(part).color), light(behind(part))].sort();
    const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    if (ratio < 4.5) found.push([part.className, part.textContent.slice(0, 30), ratio]);
  }
  return found;
})()"""


def test_everything_to_use_has_a_name_and_a_role(page):
    score(page, f"{EASY} {HARD}")
    nodes = page.command("Accessibility.getFullAXTree")["nodes"]
    named = {(node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes if not node["ignored"]}
    roles = {role for role, _ in named}
    assert {"main", "banner", "textbox", "combobox", "slider", "listbox", "option", "table", "rowheader"} <= roles
    nameless = [
        role
        for role, name in named
        if role in ("textbox", "combobox", "slider", "button", "listbox", "table", "image") and not name
    ]
    assert nameless == []
    levels = page.value(
        "[...document.querySelectorAll('h1, h2, h3')].filter(e => e.checkVisibility()).map(e => +e.tagName[1])"
    )
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_buttons_are_large_enough_for_a_thumb(page):
    page.show_as(390, 844)
    score(page, EASY)
    small = page.value(
        "[...document.querySelectorAll('button, select, input, .button')].filter(e => e.checkVisibility()"
        " && !e.matches('.hidden, .link') && e.getBoundingClientRect().height < 36).map(e => e.id)"
    )
    assert small == []


def test_nothing_has_a_style_of_its_own_and_nothing_else_is_loaded(page, address):
    score(page, f"{EASY} {HARD}")
    assert page.value("document.querySelectorAll('[style], style').length") == 0
    loaded = page.value("performance.getEntriesByType('resource').map(each => each.name)")
    assert loaded
    assert all(name.startswith(address) for name in loaded)


def test_a_script_that_gets_into_the_page_does_not_run(page):
    page.value("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.ran = 1\">')")
    page.value("new Promise(done => setTimeout(done, 50))")
    assert page.value("window.ran === undefined")
    refused = [complaint for complaint in page.complaints if "Content Security Policy" in complaint]
    assert refused
    page.complaints.clear()


def test_the_page_says_so_when_its_own_server_is_gone(tab, pipelines):
    with closing(listen("127.0.0.1", 0)) as listening, serving(make_app(pipelines, {}), listening) as address:
        tab.open(address)
        tab.wait_for(READY)
        score(tab, EASY)
    tab.click("#score")
    tab.wait_for(ALERT)
    assert "Start `readability page` again" in tab.text("#alert")
    tab.open("about:blank")
    assert all("ERR_CONNECTION_REFUSED" in complaint for complaint in tab.complaints)
    tab.complaints.clear()
