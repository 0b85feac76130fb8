"""Checks the library without a server, with the standard library's unittest."""

import asyncio
import base64
import inspect
import json
import os
import sys
import threading
import unittest
from http.server import BaseHTTPRequestHandler, HTTPServer

import pyth_on_client
from pyth_on_client import ApiError, AsyncClient, AsyncSession, Client, Ended, KeyCost, Output, Result, Session, _calls, encrypt, seal
from pyth_on_client._decode import camel, encode_options, parse_time, snake
from pyth_on_client._events import Parser


def vectors():
    with open(os.environ["VECTORS"], encoding="utf-8") as f:
        return json.load(f)


class Crypto(unittest.TestCase):
    def test_programs(self):
        programs = vectors()["programs"]
        self.assertTrue(programs)
        for v in programs:
            want = v["payload"]
            kdf = want["kdf"]
            got = encrypt(
                v["code"],
                v["password"],
                want["language"],
                want.get("name"),
                KeyCost(kdf["time"], kdf["memoryKiB"], kdf["parallelism"]),
                salt=base64.b64decode(kdf["salt"]),
                nonce=base64.b64decode(want["cipher"]["nonce"]),
            )
            self.assertEqual(got, want, v["comment"])

    def test_sealed(self):
        sealed = vectors()["sealed"]
        self.assertTrue(sealed)
        for v in sealed:
            ephemeral = bytes.fromhex(v["ephemeralPrivateKeyHex"])
            got = seal(v["password"], base64.b64decode(v["publicKey"]), v["sandboxId"], ephemeral=ephemeral)
            self.assertEqual(base64.b64encode(got).decode(), v["sealedPassword"], v["comment"])

    def test_random(self):
        cost = KeyCost(1, 8, 1)
        self.assertNotEqual(encrypt("1", "p", cost=cost), encrypt("1", "p", cost=cost))


class Conversion(unittest.TestCase):
    def test_names(self):
        for name in ("exitCode", "memoryBytes", "sessionId", "stdoutTruncated", "id"):
            self.assertEqual(camel(snake(name)), name)

    def test_options(self):
        got = encode_options({"timeout_ms": 5, "secrets": [], "store": False, "stdin": None, "limits": {"cpu_ms": 1}, "files": {"a": b"\0", "b": "x"}})
        files = [{"path": "a", "content": "AA==", "encoding": "base64"}, {"path": "b", "content": "x"}]
        self.assertEqual(got, {"timeoutMs": 5, "secrets": [], "store": False, "limits": {"cpuMs": 1}, "files": files})

    def test_times(self):
        for text, want in {"2026-04-04T08:23:21Z": 0, "2026-04-04T08:23:21.5Z": 500000, "2026-04-04T08:23:21.123456789Z": 123456}.items():
            self.assertEqual(parse_time(text).microsecond, want)

    def test_stream(self):
        text = ": keep-alive\n\nid: 1\nevent: stdout\ndata: {\"text\":\"\u00e4\"}\n\nid: 2\nevent: end\ndata: {}\n\n".encode()
        parser, got = Parser(), []
        for i in range(len(text)):
            got += parser.feed(text[i : i + 1])
        self.assertEqual(got, [(1, "stdout", {"text": "\u00e4"}), (2, "end", {})])


class Notebooks(unittest.TestCase):
    def test_html_is_sandboxed(self):
        shown = Result({"text/html": "<script>'\"</script>", "text/plain": "x"})._repr_html_()
        self.assertIn('<iframe sandbox="allow-scripts"', shown)
        self.assertNotIn("<script>", shown)
        self.assertNotIn("allow-same-origin", shown)
        self.assertIn("&lt;b&gt;", Result({"text/plain": "<b>"})._repr_html_())
        self.assertIn('src="data:image/png;base64,AA=="', Result({"image/png": "AA=="})._repr_html_())
        self.assertNotIn("<svg", Result({"image/svg+xml": "<svg/>"})._repr_html_())


class Parity(unittest.TestCase):
    def test_both_clients_have_the_same_methods(self):
        for one, other in ((Client, AsyncClient), (Session, AsyncSession)):
            for name, method in inspect.getmembers(one, inspect.isfunction):
                if not name.startswith("_"):
                    self.assertEqual(inspect.signature(method).parameters.keys(), inspect.signature(getattr(other, name)).parameters.keys(), name)


class Requests(unittest.TestCase):
    """Sends requests to a server with scripted answers."""

    def serve(self, *answers):
        case, seen = self, []

        class Handler(BaseHTTPRequestHandler):
            def answer(self):
                status, headers, body = answers[len(seen)]
                seen.append((self.command, self.path, dict(self.headers)))
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do_PUT = do_DELETE = answer

            def log_message(self, *_):
                pass

        server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        case.addCleanup(server.server_close)
        case.addCleanup(server.shutdown)
        client = Client(f"http://127.0.0.1:{server.server_port}", api_key="pyapi_test")
        case.addCleanup(client.close)
        return client, seen

    @staticmethod
    def problem(status, code, **headers):
        body = json.dumps({"status": status, "code": code, "title": "Title", "detail": "What happened.", "requestId": "req_1"})
        return status, {"Content-Type": "application/problem+json", **headers}, body.encode()

    def test_repeats_requests_without_effect(self):
        me = 200, {"Content-Type": "application/json"}, b'{"id": "u", "email": "e", "createdAt": "2026-04-04T08:23:21Z", "later": 1}'
        client, seen = self.serve(self.problem(503, "overloaded"), self.problem(429, "rate_limited", **{"Retry-After": "0"}), me)
        self.assertEqual(client.me().email, "e")
        self.assertEqual([r[2]["x-api-key"] for r in seen], ["pyapi_test"] * 3)

    def test_raises_other_errors_at_once(self):
        for answer in (self.problem(400, "invalid_request"), self.problem(429, "quota_exceeded", **{"Retry-After": "3600"}), self.problem(500, "internal")):
            client, seen = self.serve(answer)
            with self.assertRaises(ApiError) as caught:
                client.run("1")
            self.assertEqual((caught.exception.status, caught.exception.request_id, len(seen)), (answer[0], "req_1", 1))

    def test_repeats_with_the_same_key(self):
        session = {"id": "s", "language": "python", "createdAt": "2026-04-04T08:23:21Z", "expiresAt": "2026-04-04T08:23:21Z"}
        session.update(executions=0, idleTimeoutMs=1, running=False)
        created = 201, {"Content-Type": "application/json"}, json.dumps(session).encode()
        client, seen = self.serve(self.problem(409, "in_progress"), created)
        self.assertEqual(client.open_session().id, "s")
        self.assertEqual(len({r[2]["Idempotency-Key"] for r in seen}), 1)

    def test_pages(self):
        def page(name, cursor):
            secret = {"name": name, "version": 1, "createdAt": "2026-04-04T08:23:21Z", "updatedAt": "2026-04-04T08:23:21Z"}
            body = {"secrets": [secret], **({"nextCursor": cursor} if cursor else {})}
            return 200, {"Content-Type": "application/json"}, json.dumps(body).encode()

        client, seen = self.serve(page("a", "x"), page("b", None))
        self.assertEqual([s.name for s in client.secrets()], ["a", "b"])
        self.assertEqual(seen[1][1], "/api/v1/secrets?cursor=x")

    def test_other_servers(self):
        for answer in ((200, {"Content-Type": "text/html"}, b"<html>"), (302, {"Location": "http://127.0.0.1:1/"}, b""), (404, {}, b"no")):
            client, seen = self.serve(answer)
            with self.assertRaisesRegex(Exception, "not from a Pyth-On server"):
                client.me()
            self.assertEqual(len(seen), 1)

    def test_names_stay_in_their_path(self):
        for name in ("", ".", "..", "../../me/export", "a/../../../keys"):
            with self.assertRaisesRegex(ValueError, "has a name or an ID"):
                _calls.session_file("GET", "s", name)
        with self.assertRaises(ValueError):
            _calls.delete_secret("..")

    @staticmethod
    def streamed():
        run = {"id": "r", "status": "succeeded", "language": "python", "createdAt": "2026-04-04T08:23:21Z", "redactions": 0, "usage": None}
        run.update(stdout="", stderr="", stdoutTruncated=False, stderrTruncated=False, files=[], filesSkipped=[], results=[])
        events = 'id: 1\nevent: stdout\ndata: {"text":"42"}\n\nid: 2\nevent: end\ndata: ' + json.dumps(run) + "\n\n"
        return 200, {"Content-Type": "text/event-stream"}, events.encode()

    def test_repeats_streams_without_effect(self):
        for stream in (lambda client: client.stream("1"), lambda client: client.events("r")):
            client, seen = self.serve(self.problem(503, "overloaded"), self.streamed())
            self.assertEqual([type(event) for event in stream(client)], [Output, Ended])
            self.assertEqual([r[2]["Accept"] for r in seen], ["text/event-stream"] * 2)

    def test_repeats_streams_for_asyncio(self):
        async def events(server):
            async with AsyncClient(server) as client:
                return [type(event) async for event in client.stream("1")]

        client, seen = self.serve(self.problem(503, "overloaded"), self.streamed())
        self.assertEqual(asyncio.run(events(str(client._http.base_url))), [Output, Ended])
        self.assertEqual([r[2]["Accept"] for r in seen], ["text/event-stream"] * 2)

    def test_raises_other_errors_of_streams_at_once(self):
        for answer in (self.problem(400, "invalid_request"), self.problem(503, "unavailable", **{"Retry-After": "0"})):
            client, seen = self.serve(answer)
            with self.assertRaises(ApiError):
                list(client.stream("1"))
            self.assertEqual(len(seen), 1)

    def test_events_continue(self):
        first = 200, {"Content-Type": "text/event-stream"}, b'id: 1\nevent: start\ndata: {"id":"r"}\n\n'
        client, seen = self.serve(first, self.problem(404, "not_found"))
        with self.assertRaises(ApiError):
            list(client.events("r"))
        self.assertEqual(seen[1][2]["Last-Event-ID"], "1")


class Retries(unittest.TestCase):
    def test_connection(self):
        once, run = _calls.reserve(), _calls.run("1", {})
        lost = ConnectionError()
        self.assertIsNotNone(_calls.retry_delay(once, lost, 0, connected=True))
        self.assertIsNone(_calls.retry_delay(run, lost, 0, connected=True))
        self.assertIsNotNone(_calls.retry_delay(run, lost, 0, connected=False))


if __name__ == "__main__":
    print("pyth_on_client from", os.path.dirname(pyth_on_client.__file__), file=sys.stderr)
    unittest.main()
