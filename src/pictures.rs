//! What kind of picture something is. Bytes are believed before names.

/// The kinds that are taken and shown. No SVG: it can carry scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PictureKind {
    /// PNG.
    Png,
    /// JPEG.
    Jpeg,
    /// WebP.
    WebP,
    /// GIF.
    Gif,
}

impl PictureKind {
    const ALL: [Self; 4] = [Self::Png, Self::Jpeg, Self::WebP, Self::Gif];

    /// What the first bytes say.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some(Self::Png),
            [0xff, 0xd8, 0xff, ..] => Some(Self::Jpeg),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some(Self::WebP),
            [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some(Self::Gif),
            _ => None,
        }
    }

    /// What the ending of a file's name says.
    pub fn by_name(name: &str) -> Option<Self> {
        let ending = name.rsplit_once('.')?.1.to_ascii_lowercase();
        if ending == "jpeg" { Some(Self::Jpeg) } else { Self::ALL.into_iter().find(|kind| kind.ending() == ending) }
    }

    /// What a media type says.
    pub fn by_mime(mime: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.mime() == mime)
    }

    /// Its media type.
    pub fn mime(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::WebP => "image/webp",
            Self::Gif => "image/gif",
        }
    }

    /// How names of its files end, without the dot.
    pub fn ending(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg => "jpg",
            Self::WebP => "webp",
            Self::Gif => "gif",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(b"\x89PNG\r\n\x1a\nrest", Some(PictureKind::Png))]
    #[case(b"\xff\xd8\xff\xe0", Some(PictureKind::Jpeg))]
    #[case(b"RIFF\0\0\0\0WEBPVP8 ", Some(PictureKind::WebP))]
    #[case(b"GIF89a...", Some(PictureKind::Gif))]
    #[case(b"RIFF\0\0\0\0WAVEfmt ", None)]
    #[case(b"GIF88a", None)]
    #[case(b"\x89PNG\n", None)]
    #[case(b"<svg onload=alert(1)>", None)]
    #[case(b"<html>", None)]
    #[case(b"", None)]
    fn content_decides(#[case] bytes: &[u8], #[case] kind: Option<PictureKind>) {
        assert_eq!(PictureKind::of(bytes), kind);
    }

    #[test]
    fn endings_and_media_types_lead_back() {
        for kind in PictureKind::ALL {
            assert_eq!(PictureKind::by_name(&format!("a.b.{}", kind.ending().to_uppercase())), Some(kind));
            assert_eq!(PictureKind::by_mime(kind.mime()), Some(kind));
        }
        assert_eq!(PictureKind::by_name("x.jpeg"), Some(PictureKind::Jpeg));
        for other in ["png", "x.svg", "x.", ""] {
            assert_eq!(PictureKind::by_name(other), None, "{other}");
        }
        assert_eq!(PictureKind::by_mime("image/svg+xml"), None);
    }
}
