import type { RunRequest } from "../api/types";

export const snippetLanguages = ["curl", "Python", "JavaScript", "Go"] as const;
export type SnippetLanguage = (typeof snippetLanguages)[number];

// snippet returns a program that sends the request. It reads the API key from the
// environment.
export function snippet(language: SnippetLanguage, request: RunRequest, origin: string): string {
  const url = origin + "/api/v1/execute";
  const body = JSON.stringify(request, null, 2);
  switch (language) {
    case "curl":
      return `curl -sS ${url} \\
  -H "x-api-key: $PYTH_ON_API_KEY" -H 'Content-Type: application/json' \\
  -d '${body.replaceAll("'", `'\\''`)}'
`;
    case "Python":
      return `import json, os, urllib.request

body = json.loads(r'''${body.replaceAll("'''", `''\\u0027`)}''')
request = urllib.request.Request(
    ${JSON.stringify(url)},
    data=json.dumps(body).encode(),
    headers={"x-api-key": os.environ["PYTH_ON_API_KEY"], "Content-Type": "application/json"},
)
with urllib.request.urlopen(request) as response:
    run = json.load(response)
print(run["status"], run["stdout"], sep="\\n")
`;
    case "JavaScript":
      return `const response = await fetch(${JSON.stringify(url)}, {
  method: "POST",
  headers: { "x-api-key": process.env.PYTH_ON_API_KEY, "Content-Type": "application/json" },
  body: JSON.stringify(${indent(body, "  ")}),
});
const run = await response.json();
if (!response.ok) throw new Error(run.detail);
console.log(run.status, run.stdout);
`;
    case "Go":
      return `package main

import (
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"os"
	"strings"
)

func main() {
	body := ${goString(body)}
	request, err := http.NewRequest("POST", ${JSON.stringify(url)}, strings.NewReader(body))
	if err != nil {
		log.Fatal(err)
	}
	request.Header.Set("X-Api-Key", os.Getenv("PYTH_ON_API_KEY"))
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		log.Fatal(err)
	}
	defer response.Body.Close()
	var run struct{ Status, Stdout, Detail string }
	if err := json.NewDecoder(response.Body).Decode(&run); err != nil {
		log.Fatal(err)
	}
	fmt.Println(run.Status, run.Stdout, run.Detail)
}
`;
  }
}

function indent(text: string, by: string): string {
  return text.replaceAll("\n", "\n" + by);
}

// goString returns a raw string literal of Go. Raw strings cannot contain backquotes.
function goString(text: string): string {
  return "`" + text.replaceAll("`", "\\u0060") + "`";
}
