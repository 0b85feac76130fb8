import { dateTime } from "../ui/format";
import { Copy, Dialog } from "../ui/parts";

interface Props {
  title: string;
  url: string;
  expiresAt: string;
  onClose: () => void;
  children: string;
}

// LinkDialog shows a link only once. The administrator then sends the link to the user.
export function LinkDialog({ title, url, expiresAt, onClose, children }: Props) {
  return (
    <Dialog title={title} onClose={onClose}>
      <p>{children} The page does not show the link again. It expires on {dateTime(expiresAt)}.</p>
      <p class="secret"><code>{url}</code></p>
      <div class="actions"><Copy text={url} label="Copy the link" /><button type="button" class="primary" onClick={onClose}>Done</button></div>
    </Dialog>
  );
}
