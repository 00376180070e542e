//! Text made safe to look at: Markdown to HTML, sanitised. Cards and models are hostile input; this is the one place that
//! turns their words into markup.
