// The page of characters: the shelf of all cards, or the editor of the one that the address names.
import { define } from "../dom.js";
import { meOf, openPage } from "../frame.js";
import { characterEditor } from "./character-editor.js";
import { characterList } from "./character-list.js";
import { asked } from "./parts.js";

define("tk-characters", (element) =>
  openPage(element, (place, known) => {
    const id = asked("id");
    return id ? characterEditor(place, id, meOf(known)) : characterList(place);
  }),
);
