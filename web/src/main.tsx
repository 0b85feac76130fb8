import "./style.css";
import { render } from "preact";
import { App } from "./app";
import { keepFocus } from "./ui/focus";
import { applyTheme } from "./ui/theme";

applyTheme();
keepFocus();
render(<App />, document.getElementById("app")!);
