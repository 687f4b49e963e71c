"""A URL is read once, strictly."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from veduta.errors import FetchRefused
from veduta.images.urls import MAX_URL_LENGTH, parse, redirected, shown

READ = {
    "plain": ("http://example.org/a.jpg", "http://example.org/a.jpg"),
    "no-path": ("https://example.org", "https://example.org/"),
    "capitals": ("HTTP://Example.ORG/A", "http://example.org/A"),
    "query": ("http://example.org/a?b=c&d=e%20f", "http://example.org/a?b=c&d=e%20f"),
    "query-without-path": ("http://example.org?b", "http://example.org/?b"),
    "fragment-is-dropped": ("http://example.org/a#b", "http://example.org/a"),
    "default-port": ("https://example.org:443/", "https://example.org/"),
    "other-default-port": ("http://example.org:443/", "http://example.org:443/"),
    "trailing-dot": ("http://example.org./", "http://example.org/"),
    "umlauts-in-path": ("http://example.org/Höhe.jpg", "http://example.org/H%C3%B6he.jpg"),
    "umlauts-in-host": ("http://bücher.example/", "http://xn--bcher-kva.example/"),
    "full-width-host": ("http://ｅｘａｍｐｌｅ．org/", "http://example.org/"),
    "ideographic-dot": ("http://example。org/", "http://example.org/"),
    "ipv6": ("http://[2606:2800:21F::0001]/", "http://[2606:2800:21f::1]/"),
    "underscore": ("http://my_bucket.example.org/", "http://my_bucket.example.org/"),
    "encoded-line-end-stays-encoded": ("http://example.org/a%0d%0ab", "http://example.org/a%0d%0ab"),
    "quotes-are-encoded": ('http://example.org/"<>', "http://example.org/%22%3C%3E"),
    "at-in-path": ("http://example.org/@127.0.0.1", "http://example.org/@127.0.0.1"),
}


@pytest.mark.parametrize(("url", "read"), READ.values(), ids=READ.keys())
def test_a_sound_url_is_read(url: str, read: str) -> None:
    assert str(parse(url)) == read


REFUSED = {
    "empty": "",
    "no-scheme": "example.org/a",
    "scheme-relative": "//example.org/a",
    "one-slash": "http:/example.org/",
    "no-slash": "http:example.org",
    "three-slashes": "http:///example.org/",
    "ftp": "ftp://example.org/",
    "file": "file:///etc/passwd",
    "empty-host": "http:///a",
    "port-alone": "http://:80/",
    "dot-host": "http://./",
    "double-dot": "http://example..org/",
    "two-trailing-dots": "http://example.org../",
    "user": "http://user@example.org/",
    "user-and-password": "http://user:secret@example.org/",
    "empty-user": "http://@example.org/",
    "two-ats": "http://a@b@example.org/",
    "percent-in-host": "http://example%2eorg/",
    "percent-zone": "http://[fe80::1%25eth0]/",
    "zone": "http://[fe80::1%eth0]/",
    "ipv6-unclosed": "http://[::1/",
    "ipv6-unopened": "http://::1]/",
    "ipv6-without-brackets": "http://::1/",
    "ipv4-in-brackets": "http://[127.0.0.1]/",
    "future-ip": "http://[v1.fe80::a]/",
    "empty-brackets": "http://[]/",
    "text-after-brackets": "http://[::1]a/",
    "backslash": "http://example.org\\@127.0.0.1/",
    "backslashes-for-slashes": "http:\\\\example.org/",
    "space": "http://example.org/a b",
    "leading-space": " http://example.org/",
    "trailing-space": "http://example.org/ ",
    "tab": "http://exa\tmple.org/",
    "line-end": "http://example.org/\r\nHost: other",
    "nul": "http://example.org/\0",
    "escape": "http://example.org/\x1b[31m",
    "delete": "http://example.org/\x7f",
    "no-break-space": "http://example.org/\u00a0",
    "line-separator": "http://example.org/\u2028",
    "lone-surrogate": "http://example.org/\ud800",
    "port-zero": "http://example.org:0/",
    "port-too-high": "http://example.org:65616/",
    "port-very-long": "http://example.org:00000000000080/",
    "port-not-allowed": "http://example.org:22/",
    "port-in-words": "http://example.org:http/",
    "port-full-width": "http://example.org:８０/",
    "port-negative": "http://example.org:-80/",
    "slash-in-disguise": "http://example.org／a/",
    "at-in-disguise": "http://a＠example.org/",
    "account-of": "http://℀.org/",
    "question-in-disguise": "http://example.org？a/",
    "label-too-long": f"http://{'a' * 64}.org/",
    "host-too-long": f"http://{'a.' * 130}org/",
    "url-too-long": "http://example.org/" + "a" * MAX_URL_LENGTH,
    "hyphen-first": "http://-example.org/",
    "space-in-host": "http://exa mple.org/",
    "star": "http://*.example.org/",
    "semicolon-in-host": "http://example.org;127.0.0.1/",
    "comma-in-host": "http://example.org,127.0.0.1/",
}


@pytest.mark.parametrize("url", REFUSED.values(), ids=REFUSED.keys())
def test_what_is_no_sound_url_is_refused(url: str) -> None:
    with pytest.raises(FetchRefused):
        parse(url)


@given(st.text())
@example("http://[::1]:99999/")
@example("http://xn--\u00df/")
def test_no_text_breaks_the_parser(text: str) -> None:
    for url in (text, "http://" + text, "http://example.org" + text, f"https://{text}.example/"):
        try:
            address = parse(url)
        except FetchRefused:
            continue
        assert parse(str(address)) == address, "what was read reads the same again"
        assert (address.host + address.target).isascii()
        assert address.host.isprintable()
        assert " " not in str(address)


@pytest.mark.parametrize(
    ("location", "leads_to"),
    [
        ("/b", "https://example.org/b"),
        ("b?c", "https://example.org/a/b?c"),
        ("//other.example/b", "https://other.example/b"),
        ("http://other.example/", "http://other.example/"),
        ("../b", "https://example.org/b"),
        ("", "https://example.org/a/x"),
    ],
)
def test_a_redirect_is_joined_to_where_it_came_from(location: str, leads_to: str) -> None:
    assert str(redirected(parse("https://example.org/a/x"), location, (80, 443))) == leads_to


@pytest.mark.parametrize(
    "location", ["ht\ttp://other/", "\nhttp://other/", "http:\\\\other/", "http://[::1/", "http:/other"]
)
def test_a_redirect_is_parsed_as_strictly(location: str) -> None:
    with pytest.raises(FetchRefused):
        redirected(parse("https://example.org/a"), location, (80, 443))


def test_a_sentence_shows_neither_password_nor_query() -> None:
    assert shown("http://user:secret@example.org/a?key=secret") == "http://…@example.org/a?…"
    assert parse("http://example.org/a?key=secret").shown == "http://example.org/a?…"
    with pytest.raises(FetchRefused) as refused:
        parse("gopher://user:secret@example.org/\x1b?key=secret")
    assert "secret" not in str(refused.value)
    assert str(refused.value).isprintable()
