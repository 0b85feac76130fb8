import { useState } from "preact/hooks";
import { useAction } from "../ui/load";
import { Field, Problem } from "../ui/parts";

// The form and the API can use different units. The field "unit" is the number of units
// of the API in one unit of the form.
const limits = [
  { field: "executionsPerDay", name: "Runs a day", unit: 1 },
  { field: "cpuMsPerDay", name: "Processor minutes a day", unit: 60_000 },
  { field: "memoryMibMsPerDay", name: "Memory a day in MiB h", unit: 3_600_000 },
  { field: "storageBytes", name: "Stored output in MiB", unit: 1 << 20 },
  { field: "generateTokensPerDay", name: "Tokens of the model a day", unit: 1 },
  { field: "sessions", name: "Sessions", unit: 1 },
];

interface Props {
  quotas: Record<string, number | null>;
  onSave: (quotas: Record<string, number | null>) => Promise<void>;
}

export function Limits({ quotas, onSave }: Props) {
  const before = Object.fromEntries(limits.map(({ field, unit }) => [field, quotas[field] == null ? "" : String(quotas[field]! / unit)]));
  const [values, setValues] = useState<Record<string, string>>(before);
  const action = useAction();
  const changed = limits.filter(({ field }) => values[field] !== before[field]);
  const save = () => onSave(Object.fromEntries(changed.map(({ field, unit }) => [field, values[field] === "" ? null : Math.round(Number(values[field]) * unit)])));
  return (
    <form class="card" aria-labelledby="limits" onSubmit={(e) => (e.preventDefault(), void action.run(save))}>
      <h2 id="limits">Limits</h2>
      <p class="dim">An empty field has the default of the server. With 0, the user cannot do it at all.</p>
      <div class="columns wide">
        {limits.map(({ field, name }) => (
          <Field key={field} label={name}>
            {(p) => <input {...p} type="number" min="0" step="any" placeholder="default" value={values[field]} onInput={(e) => setValues({ ...values, [field]: e.currentTarget.value })} />}
          </Field>
        ))}
      </div>
      <Problem error={action.error} />
      <p><button disabled={action.busy || !changed.length}>Save the limits</button></p>
    </form>
  );
}
