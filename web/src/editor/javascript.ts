import { javascript } from "@codemirror/lang-javascript";
import { indentUnit } from "@codemirror/language";

export const language = (typescript: boolean) => [javascript({ typescript }), indentUnit.of("  ")];
