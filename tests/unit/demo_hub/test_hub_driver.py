"""The driven browser obeys the rules by which real browsers break pages."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

import pytest

from apps.demo_hub.browser import BlockedByPolicy, Browser
from apps.demo_hub.driver import HubProcess

FORM = """<!doctype html><title>A form</title><h1 data-testid="heading">Choose <b>well</b></h1>
<form method="post" action="/decide" id="main">
<input type="hidden" name="csrf" value="c1"><input type="hidden" name="csrf" value="c2">
<input type="radio" name="duration" value="1h"><input type="radio" name="duration" value="30d" checked>
<input type="checkbox" name="extra" value="yes"><input name="off" value="x" disabled>
<select name="colour"><option value="red">Red<option value="blue" selected>Blue</select>
<textarea name="why">old
text</textarea>
<button name="decision" value="decline" data-testid="consent-decline">Decline</button>
<button name="decision" value="approve" data-testid="consent-approve"><span>Continue</span></button>
</form><button form="main" formaction="/elsewhere">Outside</button><a href="/moved" data-testid="away">Away</a>"""


class Site:
    """A server whose answers a test sets, and which remembers what it was sent."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, dict[str, str], str]] = {}
        self.seen: list[tuple[str, str, dict[str, str], dict[str, list[str]]]] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
                headers = {name.lower(): value for name, value in self.headers.items()}
                site.seen.append((self.command, self.path, headers, parse_qs(body)))
                status, extra, text = site.answers.get(self.path.split("?")[0], (200, {}, "<title>Done</title>"))
                self.send_response(status)
                self.send_header("Content-Type", "text/html")
                self.send_header("Content-Length", str(len(text.encode())))
                for name, value in extra.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(text.encode())

            do_POST = do_GET

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()


@pytest.fixture
def new_site() -> Iterator[Callable[[], Site]]:
    sites: list[Site] = []

    def make() -> Site:
        sites.append(Site())
        return sites[-1]

    yield make
    for site in sites:
        site.server.shutdown()
        site.server.server_close()


@pytest.fixture
def site(new_site: Callable[[], Site]) -> Site:
    made = new_site()
    made.answers["/"] = (200, {}, FORM)
    return made


def test_a_form_is_sent_as_a_browser_would(site: Site) -> None:
    browser = Browser()
    page = browser.open(site.url + "/")
    assert page.title == "A form" and page.texts("heading") == ["Choose well"] and page.shows("consent-approve")
    browser.submit({"duration": "1h", "why": "new"}, button="consent-approve")
    method, path, headers, form = site.seen[-1]
    assert (method, path) == ("POST", "/decide")
    assert form == {
        "csrf": ["c1", "c2"], "duration": ["1h"], "colour": ["blue"], "why": ["new"], "decision": ["approve"],
    }  # fmt: skip
    assert headers["origin"] == site.url and headers["referer"] == f"{site.url}/"
    assert headers["sec-fetch-site"] == "same-origin"


@pytest.mark.parametrize("name", ["consent-decline", "decision=decline", "Decline", "decision"])
def test_a_button_goes_by_several_names(site: Site, name: str) -> None:
    browser = Browser()
    browser.open(site.url + "/")
    browser.submit(button=name)
    assert site.seen[-1][3]["decision"] == ["decline"]


def test_a_button_outside_its_form_and_with_its_own_address(site: Site) -> None:
    browser = Browser()
    browser.open(site.url + "/")
    browser.submit(button="Outside")
    assert site.seen[-1][1] == "/elsewhere" and "decision" not in site.seen[-1][3]


@pytest.mark.parametrize("values", [{"nothing": "x"}, {"duration": "2h"}, {"colour": "green"}, {"off": "y"}])
def test_nobody_can_fill_in_what_is_not_there(site: Site, values: dict[str, str]) -> None:
    browser = Browser()
    browser.open(site.url + "/")
    with pytest.raises(LookupError):
        browser.submit(values, button="consent-approve")
    assert len(site.seen) == 1


def test_links_are_followed(site: Site) -> None:
    browser = Browser()
    browser.open(site.url + "/")
    assert browser.follow("away").url == f"{site.url}/moved"
    with pytest.raises(LookupError):
        browser.follow("nowhere")


@pytest.mark.parametrize("policy", ["form-action 'self'", "default-src 'none'; form-action 'none'", "form-action"])
def test_form_action_covers_the_whole_chain_of_redirects(site: Site, new_site: Callable[[], Site], policy: str) -> None:
    provider = new_site()
    site.answers["/"] = (200, {"Content-Security-Policy": policy}, FORM)
    site.answers["/decide"] = (303, {"Location": "/own"}, "")
    site.answers["/own"] = (302, {"Location": f"{provider.url}/authorize"}, "")
    browser = Browser()
    browser.open(site.url + "/")
    with pytest.raises(BlockedByPolicy, match="form-action"):
        browser.submit(button="consent-approve")
    assert provider.seen == []


@pytest.mark.parametrize("policy", ["default-src 'none'", "form-action *", "form-action 'self' http:"])
def test_without_a_form_action_in_the_way_redirects_are_followed(
    site: Site, new_site: Callable[[], Site], policy: str
) -> None:
    provider = new_site()
    site.answers["/"] = (200, {"Content-Security-Policy": policy}, FORM)
    site.answers["/decide"] = (303, {"Location": f"{provider.url}/authorize?a=b"}, "")
    browser = Browser()
    browser.open(site.url + "/")
    page = browser.submit(button="consent-approve")
    assert page.url == f"{provider.url}/authorize?a=b" and page.redirects == [f"{site.url}/decide"]
    assert provider.seen[0][0] == "GET" and provider.seen[0][3] == {}


def test_a_hand_over_page_passes_a_strict_form_action(site: Site, new_site: Callable[[], Site]) -> None:
    provider = new_site()
    policy = {"Content-Security-Policy": "form-action 'self'", "Referrer-Policy": "no-referrer"}
    site.answers["/"] = (200, policy, FORM)
    moving = f'<title>Moving</title><meta http-equiv="refresh" content="0; url={provider.url}/authorize?a=1&amp;b=2">'
    site.answers["/decide"] = (200, policy, moving)
    browser = Browser()
    browser.open(site.url + "/")
    assert browser.submit(button="consent-approve", follow_refresh=False).title == "Moving"
    browser.open(site.url + "/")
    assert browser.submit(button="consent-approve").url == f"{provider.url}/authorize?a=1&b=2"
    assert "referer" not in provider.seen[0][2] and provider.seen[0][2]["sec-fetch-site"] == "same-site"


def test_no_referrer_makes_the_origin_null(site: Site) -> None:
    site.answers["/"] = (200, {"Referrer-Policy": "no-referrer"}, FORM)
    browser = Browser()
    browser.open(site.url + "/")
    browser.submit(button="consent-approve")
    assert site.seen[-1][2]["origin"] == "null" and "referer" not in site.seen[-1][2]


@pytest.mark.parametrize(("status", "method"), [(301, "GET"), (302, "GET"), (303, "GET"), (307, "POST"), (308, "POST")])
def test_redirects_after_a_form(site: Site, status: int, method: str) -> None:
    site.answers["/decide"] = (status, {"Location": "/next"}, "")
    browser = Browser()
    browser.open(site.url + "/")
    browser.submit(button="consent-approve")
    assert site.seen[-1][:2] == (method, "/next") and ("decision" in site.seen[-1][3]) == (method == "POST")


def test_it_never_leaves_the_machine_and_stops_where_told(site: Site) -> None:
    site.answers["/away"] = (302, {"Location": "https://bot.acme.example/done?session_id=s"}, "")
    site.answers["/here"] = (302, {"Location": "/return?code=c"}, "")
    site.answers["/app"] = (302, {"Location": "com.example.app:/done"}, "")
    browser = Browser(stop_at=[f"{site.url}/return"])
    away = browser.open(f"{site.url}/away")
    assert (away.status, away.parameters) == (0, {"session_id": "s"})
    assert browser.open(f"{site.url}/here").parameters == {"code": "c"}
    assert browser.open(f"{site.url}/app").url == "com.example.app:/done"
    assert [path for _, path, _, _ in site.seen] == ["/away", "/here", "/app"]


def test_an_address_where_nobody_listens_is_shown_all_the_same() -> None:
    page = Browser().open("http://127.0.0.1:9/callback?code=c")
    assert page.status == 0 and page.parameters == {"code": "c"} and page.headers["x-failure"]


def test_redirects_and_refreshes_in_circles_end(site: Site) -> None:
    site.answers["/loop"] = (302, {"Location": "/loop"}, "")
    site.answers["/spin"] = (200, {}, '<meta http-equiv="refresh" content="0;url=/spin">')
    for path in ("/loop", "/spin"):
        with pytest.raises(BlockedByPolicy):
            Browser().open(site.url + path)


def test_walking_ends_on_another_servers_pages_too(hub: HubProcess, site: Site) -> None:
    """A portal's consent page, then the provider's sign-in and consent, then the return URL."""
    client = hub.register_client(redirect_uris=[f"{site.url}/callback"])
    target = (
        f"{hub.url}/authorize?response_type=code&client_id={client.client_id}&scope=openid&state=s&"
        f"redirect_uri={site.url}/callback&code_challenge={'a' * 43}&code_challenge_method=S256"
    ).replace("&", "&amp;")
    site.answers["/decide"] = (200, {}, f'<meta http-equiv="refresh" content="0;url={target}">')
    site.answers["/callback"] = (302, {"Location": "https://bot.acme.example/done"}, "")
    dana = hub.person("dana")
    dana.open(site.url + "/")
    assert dana.walk(values={"duration": "1h", "not there": "x"}).url == "https://bot.acme.example/done"
    posted = next(form for method, path, _, form in site.seen if path == "/decide")
    assert posted["duration"] == ["1h"] and posted["decision"] == ["approve"]


def test_a_wrong_password_does_not_go_round_for_ever(hub: HubProcess) -> None:
    dana = hub.person("dana")
    dana.knows_login(hub.url, "dana", "wrong")
    with pytest.raises(LookupError, match="circles"):
        dana.sign_in_and_get_jwt()
