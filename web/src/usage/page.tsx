import { useState } from "preact/hooks";
import { get, query } from "../api/client";
import { languageName } from "../run/page";
import { bytes, duration } from "../ui/format";
import { useLoad } from "../ui/load";
import { Field, Loading, Problem } from "../ui/parts";
import { Table, type Column } from "../ui/table";
import { BarChart } from "./chart";
import { Quotas, type Quota } from "./quotas";

interface Totals {
  executions: number;
  cpuMs: number;
  memoryMibMs: number;
  networkBytes: number;
  storageBytes: number;
  generateTokens: number;
}

interface Item extends Totals {
  day?: string;
  language?: string;
  keyId?: string;
}

interface Report {
  startsAt: string;
  endsAt: string;
  items: Item[];
  total: Totals;
  quotas: Quota[];
}

interface Measure {
  name: string;
  field: keyof Totals;
  format: (value: number) => string;
}

const plain = (n: number) => n.toLocaleString();
const measures: Measure[] = [
  { name: "Runs", field: "executions", format: plain },
  { name: "Processor time", field: "cpuMs", format: duration },
  { name: "Memory", field: "memoryMibMs", format: (n) => `${(n / 3_600_000).toLocaleString(undefined, { maximumSignificantDigits: 3 })} MiB h` },
  { name: "Network", field: "networkBytes", format: bytes },
  { name: "Tokens", field: "generateTokens", format: plain },
];

const dayMs = 86_400_000;
const dayName = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", timeZone: "UTC" });

// daysOf returns an item for each day of the report, including days without usage.
function daysOf(report: Report): Item[] {
  const known = new Map(report.items.map((i) => [i.day, i]));
  const days: Item[] = [];
  for (let at = Date.parse(report.startsAt); at < Date.parse(report.endsAt); at += dayMs) {
    const day = new Date(at).toISOString().slice(0, 10);
    days.push(known.get(day) ?? { day, executions: 0, cpuMs: 0, memoryMibMs: 0, networkBytes: 0, storageBytes: 0, generateTokens: 0 });
  }
  return days;
}

const label = (day: string) => dayName.format(new Date(day));

export function UsagePage() {
  const [days, setDays] = useState("30");
  const report = useLoad(async (signal) => {
    const since = new Date(Date.now() - (Number(days) - 1) * dayMs).toISOString();
    const by = (group: string) => get<Report>(query("/api/v1/usage", { by: group, since }), signal);
    const keys = get<{ keys: { id: string; name: string }[] }>("/api/v1/keys?limit=200", signal);
    const [byDay, byLanguage, byKey, names] = await Promise.all([by("day"), by("language"), by("key"), keys]);
    return { byDay, byLanguage, byKey, names: new Map(names.keys.map((k) => [k.id, k.name])) };
  }, [days]);
  const data = report.data;
  const shown = measures.filter((m) => m.field === "executions" || m.field === "cpuMs" || data?.byDay.total[m.field]);
  const columns = (first: Column<Item>): Column<Item>[] => [first, ...shown.map((m): Column<Item> => ({ name: m.name, kind: "number", cell: (i) => m.format(i[m.field]) }))];
  return (
    <div class="page">
      <header><h1>Usage</h1></header>
      <Problem error={report.error} retry={report.reload} />
      {!data && report.loading && <Loading />}
      {data && (
        <>
          <Quotas quotas={data.byDay.quotas} />
          <div class="filters">
            <Field label="Period" hint="Days are in UTC.">
              {(p) => (
                <select {...p} value={days} onChange={(e) => setDays(e.currentTarget.value)}>
                  <option value="7">7 days</option><option value="30">30 days</option><option value="90">90 days</option><option value="365">a year</option>
                </select>
              )}
            </Field>
          </div>
          <div class="charts">
            {shown.map((m) => <BarChart key={m.field} title={m.name} format={m.format} bars={daysOf(data.byDay).map((i) => ({ label: label(i.day!), value: i[m.field] }))} />)}
          </div>
          {data.byDay.items.length > 0 ? (
            <>
              <h2>By day</h2>
              <Table label="Usage by day" items={data.byDay.items.toReversed()} keyOf={(i) => i.day!} columns={columns({ name: "Day", cell: (i) => label(i.day!) })} />
              <h2>By language</h2>
              <Table label="Usage by language" items={data.byLanguage.items} keyOf={(i) => i.language!} columns={columns({ name: "Language", cell: (i) => languageName(i.language!) })} />
              <h2>By API key</h2>
              <Table label="Usage by API key" items={data.byKey.items} keyOf={(i) => i.keyId ?? ""} columns={columns({ name: "Key", cell: (i) => (i.keyId ? data.names.get(i.keyId) ?? <span class="dim">deleted key</span> : "This page and other logins") })} />
            </>
          ) : (
            <p class="dim">You ran nothing in this period.</p>
          )}
        </>
      )}
    </div>
  );
}
