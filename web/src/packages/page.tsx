import { useState } from "preact/hooks";
import { call, get, query } from "../api/client";
import { stream } from "../api/events";
import type { ServerInfo } from "../api/types";
import { languageName } from "../run/page";
import { bytes, count } from "../ui/format";
import { useAction, useLoad } from "../ui/load";
import { Confirm, Empty, Field, Loading, Problem } from "../ui/parts";
import { Table } from "../ui/table";
import type { Route } from "../router";

interface Package {
  name: string;
  version: string;
  requirement: string;
  language: string;
  direct: boolean;
  sizeBytes: number;
}

const path = "/api/v1/packages";

export function PackagesPage({ info, route }: { info: ServerInfo; route: Route }) {
  // TypeScript uses the packages of JavaScript, and bash has none.
  const languages = info.languages.map((l) => l.name).filter((n) => n !== "typescript" && n !== "bash");
  const [language, setLanguage] = useState(route.query.get("language") ?? languages[0]);
  const [wanted, setWanted] = useState(route.query.get("add") ?? "");
  const [progress, setProgress] = useState<string[]>([]);
  const [removed, setRemoved] = useState<Package>();
  const list = useLoad(async (signal) => ({ ...(await get<{ packages: Package[] }>(query(path, { language }), signal)), language }), [language]);
  const add = useAction();
  const remove = useAction();
  // While the packages of this language load, list.data still contains the packages of
  // the previous language. Do not show these packages.
  const packages = list.data?.language === language ? list.data.packages : undefined;
  const direct = packages?.filter((p) => p.direct) ?? [];
  const rest = packages?.filter((p) => !p.direct) ?? [];
  const install = async () => {
    setProgress([]);
    for await (const event of stream("POST", path, { body: { language, package: wanted.trim() } })) {
      if (event.type === "progress") setProgress((p) => [...p, event.data.detail].slice(-6));
      else if (event.type === "error") throw new Error(event.data.detail ?? event.data.title);
    }
    setWanted("");
    setProgress([]);
    list.reload();
  };
  return (
    <div class="page">
      <header><h1>Packages</h1></header>
      <p class="dim">All your programs in a language can import its packages. Sessions keep the packages that they started with.</p>
      <form class="card" onSubmit={(e) => (e.preventDefault(), void add.run(install))}>
        <div class="filters">
          <Field label="Language">
            {(p) => <select {...p} value={language} disabled={add.busy} onChange={(e) => setLanguage(e.currentTarget.value)}>{languages.map((l) => <option key={l} value={l}>{languageName(l)}</option>)}</select>}
          </Field>
          <Field label="Package" hint={language === "python" ? "For example requests or numpy>=2" : "For example lodash or lodash@4"}>
            {(p) => <input {...p} required value={wanted} disabled={add.busy} autocomplete="off" spellcheck={false} onInput={(e) => setWanted(e.currentTarget.value)} />}
          </Field>
          <button class="primary align" disabled={add.busy}>{add.busy ? "Installing…" : "Install"}</button>
        </div>
        {add.busy && <ul class="progress" role="status">{progress.length ? progress.map((p, i) => <li key={i}>{p}</li>) : <li>Waiting for the server</li>}</ul>}
        <Problem error={add.error} />
      </form>
      <Problem error={list.error} retry={list.reload} />
      {!packages && list.loading && <Loading />}
      {packages?.length === 0 && <Empty title={`No packages for ${languageName(language)}`}><p>The standard library is always there. Install other packages above.</p></Empty>}
      {direct.length > 0 && (
        <Table
          label="Packages" items={direct} keyOf={(p) => p.name}
          columns={[
            { name: "Package", cell: (p) => <code>{p.name}</code> },
            { name: "Version", cell: (p) => p.version },
            { name: "Wanted", cell: (p) => <code>{p.requirement}</code> },
            { name: "Size", kind: "number", cell: (p) => bytes(p.sizeBytes) },
            {
              name: "Actions", isHidden: true, kind: "row-actions",
              cell: (p) => <button type="button" class="small" aria-label={`Remove ${p.name}`} onClick={() => setRemoved(p)}>Remove</button>,
            },
          ]}
        />
      )}
      {rest.length > 0 && (
        <details class="card">
          <summary>{count(rest.length, "package")} that these need</summary>
          <ul>{rest.map((p) => <li key={p.name}><code>{p.name}</code> {p.version} <span class="dim">{bytes(p.sizeBytes)}</span></li>)}</ul>
        </details>
      )}
      {removed && (
        <Confirm
          title={`Remove ${removed.name}?`} action="Remove" busy={remove.busy} error={remove.error} onClose={() => (remove.clear(), setRemoved(undefined))}
          onYes={() => void remove.run(async (isAwaited) => (await call("DELETE", query(`${path}/${removed.name.split("/").map(encodeURIComponent).join("/")}`, { language })), isAwaited() && setRemoved(undefined), list.reload()))}
        >
          <p>Later runs cannot import it. You can install it again.</p>
        </Confirm>
      )}
    </div>
  );
}
