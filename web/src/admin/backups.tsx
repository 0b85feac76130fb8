import { get } from "../api/client";
import { dateTime } from "../ui/format";
import { useLoad } from "../ui/load";
import { Copy, Loading, Problem } from "../ui/parts";
import { Time } from "../ui/time";
import type { Overview, Setting } from "./types";

const command = "pyth-on backup backup.tar --data-dir DATA_DIRECTORY";

// BackupsPage shows the last backup and the schedule. It does not download backups, because
// a backup contains the data of all users.
export function BackupsPage() {
  const state = useLoad(async (signal) => {
    const [overview, { settings }] = await Promise.all([get<Overview>("/api/v1/admin/overview", signal), get<{ settings: Setting[] }>("/api/v1/admin/settings", signal)]);
    return { overview, value: (name: string) => settings.find((s) => s.name === name)?.value ?? "" };
  }, []);
  const data = state.data;
  return (
    <div class="page">
      <header><h1>Backups</h1></header>
      <Problem error={state.error} retry={state.reload} />
      {!data && state.loading && <Loading />}
      {data && (
        <section class="card" aria-labelledby="schedule">
          <h2 id="schedule">Schedule</h2>
          {data.value("backup-dir") ? (
            <p>The server makes a backup every {data.value("backup-interval")} in <code>{data.value("backup-dir")}</code>, and keeps {data.value("backup-keep")}.</p>
          ) : (
            <div class="notice warn"><p>The server makes no backups by itself. Set <code>backup-dir</code> to a directory on another disk.</p></div>
          )}
          <p>{data.overview.lastBackupAt ? <>The last backup is from <strong>{dateTime(data.overview.lastBackupAt)}</strong> (<Time at={data.overview.lastBackupAt} />).</> : "The server knows of no backup."}</p>
        </section>
      )}
      <section class="card" aria-labelledby="make">
        <h2 id="make">Make a backup</h2>
        <p>Run this command on the machine of the server. The server can continue to run. On another machine, use <code>--server {location.origin}</code> instead of <code>--data-dir</code>, and the API key of an administrator.</p>
        <div class="text"><pre class="source" tabIndex={0}>{command}</pre><div class="corner"><Copy text={command} /></div></div>
        <p class="dim">Keep a copy of the root key in another place: a restore needs it. See <a href="/docs/backup.md" target="_blank" rel="noopener">the documentation</a>.</p>
      </section>
    </div>
  );
}
