/** Text that is longer is no reference, whatever is in it. */
const maximumLength = 4096;

const component = /^[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*$/;
const host =
	/^(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*|\[[0-9A-Fa-f:]+\])(?::[0-9]+)?$/;
const tag = /^[0-9A-Za-z_][0-9A-Za-z_.-]{0,127}$/;
const digest = /^[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9A-Fa-f]{32,}$/;

/** Whether BuildKit takes the text for an image: `[HOST[:PORT]/]PATH[:TAG][@DIGEST]`. */
export function isImage(text: string): boolean {
	if (text.length > maximumLength) return false;
	const at = text.indexOf("@");
	if (at >= 0 && !digest.test(text.slice(at + 1))) return false;
	const name = at < 0 ? text : text.slice(0, at);
	const colon = name.indexOf(":", name.lastIndexOf("/") + 1);
	if (colon >= 0 && !tag.test(name.slice(colon + 1))) return false;
	const components = (colon < 0 ? name : name.slice(0, colon)).split("/");
	// The first component is a host if it cannot be a part of a name on Docker Hub, or says so by a dot or port.
	if (components.length > 1 && /[.:A-Z]|^localhost$/.test(components[0]!)) {
		if (!host.test(components[0]!)) return false;
		components.shift();
	}
	return components.join("/").length <= 255 && components.every((each) => component.test(each));
}
