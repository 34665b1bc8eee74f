"""The chat in a real browser: its server as a process, its page in Chromium, as people would use it."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.browser import ALT, LIMIT_S, Browser, Page
from tests.pb.cli.processes import ROOT, pb

PICTURES = ROOT / "build" / "pictures"
# The least contrast of any text in the page with what is behind it, as WCAG 2 counts it, and that text.
CONTRAST = """(() => {
  const channel = (c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  const paint = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgb = (colour) => {
    paint.clearRect(0, 0, 1, 1);
    paint.fillStyle = colour;
    paint.fillRect(0, 0, 1, 1);
    return [...paint.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const found = rgb(getComputedStyle(at).backgroundColor);
      if (found[3] === 255) return found;
    }
    throw new Error("nothing is behind it");
  };
  let worst = [99, ""];
  for (const element of document.body.querySelectorAll("*")) {
    const texts = [...element.childNodes].filter((node) => node.nodeType === 3);
    const text = texts.map((node) => node.data.trim()).join("");
    if (!text || !element.checkVisibility({ opacityProperty: true })) continue;
    const [one, two] = [light(rgb(getComputedStyle(element).color)), light(behind(element))];
    const contrast = (Math.max(one, two) + 0.05) / (Math.min(one, two) + 0.05);
    if (contrast < worst[0]) worst = [contrast, text];
  }
  return worst;
})()"""


@contextmanager
def served(store: Path, url: str = "ws://127.0.0.1:0") -> Iterator[str]:
    """Run the chat; yield where its page is. It has to end as it should."""
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "examples.chat", url, "--store", str(store)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        found = re.search(r"http://\S+", line)
        if found is None:
            raise AssertionError(f"it did not start: {line}{process.communicate(timeout=LIMIT_S)[1]}")
        yield found[0]
    finally:
        process.send_signal(signal.SIGINT)
        try:
            _, said = process.communicate(timeout=LIMIT_S)
        finally:
            process.kill()  # it has ended, or never will
    assert (0, "") == (process.returncode, said)


@pytest.fixture(scope="module")
def chat(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served(tmp_path_factory.mktemp("chat") / "chat.db") as url:
        yield url


@pytest.fixture
def sign_in(browser: Browser):
    """Open pages, each for a user who signs in by the keyboard. In the end none may have had an error."""
    pages: list[Page] = []

    def sign_in(
        url: str, user: str, password: str | None = None, size: tuple[int, int] = (1200, 760)
    ) -> Page:
        page = browser.open(url, size)
        pages.append(page)
        page.write(user)
        page.press("Tab")
        say(page, password or f"{user}'s password")
        if password is None:
            page.until("!document.querySelector('#chat').hidden")
        return page

    yield sign_in
    for page in pages:
        page.close()
    assert [] == [error for page in pages for error in page.errors]


def say(page: Page, text: str) -> None:
    page.write(text)
    page.press("Enter")


def until_texts(page: Page, selector: str, texts: tuple[str, ...]) -> None:
    """Wait until the last elements of a kind have these texts."""
    wanted = json.dumps(json.dumps(texts, separators=(",", ":"), ensure_ascii=False))
    found = f"[...document.querySelectorAll({json.dumps(selector)})].slice(-{len(texts)})"
    page.until(f"JSON.stringify({found}.map((each) => each.innerText)) === {wanted}")


def until_said(page: Page, *lines: str) -> None:
    """Wait until these are the last lines of the conversation."""
    until_texts(page, ".line .text", lines)


def until_people(page: Page, *names: str) -> None:
    """Wait until the roster has these names, in this order, and no others."""
    page.until(f"document.querySelectorAll('#people .name').length === {len(names)}")
    until_texts(page, "#people .name", names)


def test_two_people_chat_and_see_each_other_come_and_go(sign_in, chat):
    """Logins, a roster that follows, messages as callbacks; and a tab that is closed without a word."""
    alice = sign_in(chat, "alice")
    assert ["alice"] == alice.texts("#me")
    assert ["You are alone in here"] == alice.texts("#room-summary")
    assert ["Nothing has been said in the lobby yet."] == alice.texts(".note")
    say(alice, "Is anybody here?")
    until_said(alice, "Is anybody here?")
    assert [] == alice.texts(".note")

    bob = sign_in(chat, "bob")
    until_said(bob, "Is anybody here?")  # it was said before bob came
    for page in (alice, bob):
        until_people(page, "alice", "bob")
    say(bob, "Good morning, Alice.")
    say(bob, "The kettle is on.")
    say(alice, "Then let us meet in the garden.")
    for page in (alice, bob):
        until_said(page, "Good morning, Alice.", "The kettle is on.", "Then let us meet in the garden.")
    assert ["bob is here"] == alice.texts(".note")[-1:]

    carol = sign_in(chat, "carol")
    carol.click("#status")
    carol.until("document.querySelector('#status').ariaPressed === 'true'")
    until_people(alice, "alice", "bob", "carol")
    alice.until("document.querySelector('.person.away .name')?.innerText === 'carol'")
    for scheme in ("light", "dark"):
        alice.prefer(scheme)
        alice.screenshot(PICTURES / f"chat-{scheme}.png")

    bob.close()
    carol.click("#sign-out")
    carol.until("!document.querySelector('#sign-in').hidden")
    until_people(alice, "alice")
    assert {"bob has left", "carol has left"} == set(alice.texts(".note")[-2:])
    assert ["You are alone in here"] == alice.texts("#room-summary")


def test_rooms_are_entered_left_and_told_apart(sign_in, chat):
    """What is said in a room is heard in that room, and counted where one looks at another."""
    alice, bob = sign_in(chat, "alice"), sign_in(chat, "bob")
    alice.click("#room-name")
    say(alice, "Tea  House")
    alice.until_shown("#room-title", "tea house")
    until_people(alice, "alice")
    bob.until("document.querySelector('[data-room=\"tea house\"] .count')?.innerText.startsWith('1')")

    bob.click("[data-room='tea house']")
    bob.until_shown("#room-title", "tea house")
    say(bob, "No one else hears this.")
    until_said(alice, "No one else hears this.")
    alice.press("ArrowUp", ALT)
    alice.until_shown("#room-title", "lobby")
    assert "No one else hears this." not in alice.texts(".line .text")
    say(bob, "Alice?")
    alice.until("document.querySelector('[data-room=\"tea house\"] .unread')?.innerText.startsWith('1')")
    assert "(1) Words" == alice.evaluate("document.title")
    alice.press("ArrowDown", ALT)
    until_said(alice, "No one else hears this.", "Alice?")
    assert "Words" == alice.evaluate("document.title")

    alice.click("#leave")
    alice.until_shown("#room-title", "lobby")
    until_people(bob, "bob")
    bob.click("#leave")
    alice.until("!document.querySelector('[data-room=\"tea house\"]')")  # the last one has closed the door

    alice.click("#room-name")
    say(alice, "../etc")
    alice.until_shown("#problem", "A room has a name of letters and digits, of at most 32 characters.")


@pytest.mark.parametrize("user", ["alice", "mallory"])
def test_a_wrong_password_is_told_in_one_sentence(user, sign_in, chat):
    """The same for a user that is not there; and one can try again at once."""
    page = sign_in(chat, user, "bob's password")
    page.until_shown("#refused", "The name or the password is wrong.")

    assert [True, "password", "", 1] == page.evaluate(
        "[document.querySelector('#chat').hidden, document.activeElement.id, document.activeElement.value,"
        " [...document.querySelectorAll('.problem')].filter((each) => each.innerText).length]"
    )
    page.evaluate("document.querySelector('#user').value = 'alice'")
    say(page, "alice's password")
    page.until_shown("#me", "alice")
    assert [""] == page.texts("#refused")


def test_what_this_client_cannot_prove_is_said_before_it_is_tried(sign_in, chat):
    """A name or password that needs SASLprep."""
    page = sign_in(chat, "alice", "pässword")

    page.until_shown("#refused", "Names and passwords are letters without accents, digits and signs here.")


def test_what_people_say_is_text_and_never_markup(sign_in, chat):
    """Else whoever may talk could act as everybody who listens."""
    evil = '<img src=x onerror="document.title=\'owned\'"><script>document.title="owned"</script> & &lt;b&gt;'
    alice, bob = sign_in(chat, "alice"), sign_in(chat, "bob")
    say(alice, evil)
    say(alice, "and then\u2028a line")
    for page in (alice, bob):
        page.until("document.querySelectorAll('.line').length >= 2")
        page.until("[...document.querySelectorAll('.text')].at(-1).innerText.startsWith('and then')")
        assert evil == page.texts(".line .text")[-2]
        assert [0, 0] == page.evaluate(
            "[document.querySelectorAll('#log img, #log script, #log b').length,"
            " document.title === 'owned' ? 1 : 0]"
        )


def test_markup_would_not_run_if_it_came_into_the_page(browser, chat):
    """The second wall: the policy of the page, whatever its code does."""
    page = browser.open(chat)

    assert ["TypeError", "TypeError", "TypeError", "Words"] == page.evaluate(
        """(async () => {
          const script = document.createElement("script");
          const picture = document.createElement("img");
          const ends = [
            () => (document.body.innerHTML = "<p>x</p>"),
            () => (script.src = "data:text/javascript,document.title='owned'"),
            () => trustedTypes.createPolicy("mine", {}),
          ].map((attempt) => { try { attempt(); return "done"; } catch (error) { return error.name; } });
          try { picture.setAttribute("onerror", "document.title='owned'"); } catch {}
          const failed = new Promise((done) => picture.addEventListener("error", done));
          picture.src = "nothing";
          document.body.append(picture);
          await failed;
          return [...ends, document.title];
        })()"""
    )
    page.close()


def test_the_page_comes_back_when_the_server_does(sign_in, browser, tmp_path):
    """It says that it is alone, keeps what was written, logs in again and enters the same rooms."""
    with served(tmp_path / "chat.db") as url:
        alice = sign_in(url, "alice")
        alice.click("#room-name")
        say(alice, "attic")
        alice.until_shown("#room-title", "attic")
    alice.until("document.querySelector('#lost').checkVisibility()")
    assert alice.texts("#lost")[0].startswith("No connection to the server. Trying again")
    say(alice, "not lost")
    alice.until_shown("#problem", "There is no connection just now. Nothing was sent.")
    alice.errors.clear()  # Chromium reports connections that it could not make

    port = re.search(r":(\d+)/", url)
    assert port is not None
    with served(tmp_path / "chat.db", f"ws://127.0.0.1:{port[1]}"):
        alice.click("#try-now")
        alice.until("document.querySelector('#connection').hidden")
        alice.press("Enter")
        until_said(alice, "not lost")
        until_people(alice, "alice")
        assert ["attic"] == alice.texts("#room-title")
        bob = sign_in(url, "bob")
        bob.until("document.querySelector('[data-room=lobby] .count')?.innerText.startsWith('2')")
        alice.close()
        until_people(bob, "bob")
        bob.close()
        alice.errors.clear()


def test_who_is_added_by_the_operator_is_let_in_and_who_has_no_key_is_not(sign_in, chat, tmp_path):
    """Identities are those of the store, and the keys decide."""
    store = tmp_path / "chat.db"
    name = "<i>dora</i>"  # which is a name like any other
    with served(store) as url:
        add = ("identity", "add", "--stdin", "--store", store)
        assert 0 == pb(*add, name, "--grant", "chat", stdin="a secret\n").returncode
        assert 0 == pb(*add, "eve", stdin="a secret\n").returncode
        dora = sign_in(url, name, "a secret")
        until_people(dora, name)
        assert [name] == dora.texts("#me")
        eve = sign_in(url, "eve", "a secret")
        eve.until_shown("#refused", "There is no place for you in this chat.")
        assert 0 == pb("identity", "disable", name, "--store", store).returncode
        dora.until_shown("#refused", "The server has signed you out.")


def test_everything_has_a_name_for_those_who_hear_the_page(sign_in, chat):
    """A screen reader says what each control is, and that something was said."""
    page = sign_in(chat, "bob")
    nodes = page.call("Accessibility.getFullAXTree")["nodes"]
    found = [
        (node["role"]["value"], node["name"]["value"])
        for node in nodes
        if not node["ignored"] and "name" in node
    ]

    controls = [
        each for each in found if each[0] in ("button", "textbox", "log", "navigation", "complementary")
    ]
    assert {
        ("button", "Away"),
        ("button", "Sign out"),
        ("button", "lobby 1 person"),
        ("button", "garden 0 people"),
        ("button", "workshop 0 people"),
        ("textbox", "Name of a room"),
        ("button", "Enter the room"),
        ("textbox", "Say something"),
        ("button", "Send"),
        ("log", "Conversation"),
        ("navigation", "Rooms"),
        ("complementary", "People"),
    } == set(controls)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [(1200, 760), (390, 780)], ids=["wide", "narrow"])
def test_everything_can_be_read(scheme, size, sign_in, chat):
    """Every text stands out from what is behind it by 4.5 to 1, and nothing is wider than the page."""
    page = sign_in(chat, "carol", "wörd", size)
    page.prefer(scheme)
    page.until("document.querySelector('#refused').innerText")
    worst, text = page.evaluate(CONTRAST)
    assert worst >= 4.5, text
    say(page, "carol's password")
    page.until("!document.querySelector('#chat').hidden")
    say(page, "A word that is long: " + "w" * 200)
    page.until("document.querySelector('.line.own')")
    page.click("#status")
    page.until("document.querySelector('.person.away')")
    worst, text = page.evaluate(CONTRAST)
    assert worst >= 4.5, text
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.screenshot(PICTURES / f"chat-{size[0]}-{scheme}.png")


def test_everything_comes_from_the_server_itself(sign_in, chat):
    """No fonts, scripts or pictures from elsewhere: whose server it is, is asked nobody else."""
    page = sign_in(chat, "alice")

    names = page.evaluate("performance.getEntriesByType('resource').map((each) => each.name)")
    assert {True} == {name.startswith(chat) for name in names}
    assert {"main.js", "style.css", "icon.svg", "pb/index.js"} <= {name.removeprefix(chat) for name in names}
