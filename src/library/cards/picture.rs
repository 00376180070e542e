//! Pictures: checked by their heads before they are decoded, and made into what is wanted.

use std::io::Cursor;

use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, Rgb, RgbImage};

use crate::error::{Error, Kind, Result};
use crate::pictures::PictureKind;

/// The longest side of a picture, in pixels.
pub const SIDE_MAX: u32 = 8192;
/// The most pixels: as many as three screens of the largest kind have.
const PIXELS_MAX: u64 = 40_000_000;
/// The most memory that decoding may take, in bytes.
const MEMORY_MAX: u64 = 256 << 20;
/// What stands behind the see-through parts of a picture where the format knows none.
const BEHIND: u8 = 0x20;

/// A part of a picture, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Crop {
    /// From the left.
    pub x: u32,
    /// From the top.
    pub y: u32,
    /// Wide.
    pub width: u32,
    /// High.
    pub height: u32,
}

impl Crop {
    /// Reads `x,y,w,h`.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = || Error::invalid("bad_request", "A crop is four whole numbers: left,top,width,height.");
        let mut numbers = text.split(',').map(|part| part.trim().parse::<u32>().map_err(|_| wrong()));
        let mut next = || numbers.next().unwrap_or_else(|| Err(wrong()));
        let crop = Self { x: next()?, y: next()?, width: next()?, height: next()? };
        if numbers.next().is_some() || crop.width == 0 || crop.height == 0 { Err(wrong()) } else { Ok(crop) }
    }
}

/// What the first bytes say that this is: PNG, JPEG, WebP or GIF.
fn kind_of(bytes: &[u8]) -> Result<PictureKind> {
    PictureKind::of(bytes).ok_or_else(|| {
        Error::invalid("not_an_image", "That is not a PNG, JPEG, WebP or GIF picture. Nothing was changed.")
    })
}

impl From<PictureKind> for ImageFormat {
    fn from(kind: PictureKind) -> Self {
        match kind {
            PictureKind::Png => Self::Png,
            PictureKind::Jpeg => Self::Jpeg,
            PictureKind::WebP => Self::WebP,
            PictureKind::Gif => Self::Gif,
        }
    }
}

/// Refuses by its head alone a picture that is too large to be decoded.
pub fn check(bytes: &[u8]) -> Result<PictureKind> {
    let kind = kind_of(bytes)?;
    let (width, height) = match kind {
        // Without looking further: a decoder may read on to the pixels.
        PictureKind::Png => png_size(bytes).ok_or_else(|| broken("its head is missing"))?,
        _ => ImageReader::with_format(Cursor::new(bytes), kind.into()).into_dimensions().map_err(broken)?,
    };
    if width == 0 || height == 0 {
        return Err(broken("it has no pixels"));
    }
    if width > SIDE_MAX || height > SIDE_MAX || u64::from(width) * u64::from(height) > PIXELS_MAX {
        return Err(too_large(width, height));
    }
    Ok(kind)
}

fn png_size(bytes: &[u8]) -> Option<(u32, u32)> {
    let head = bytes.get(12..24)?.strip_prefix(b"IHDR")?;
    let number = |at: usize| Some(u32::from_be_bytes(head.get(at..at + 4)?.try_into().ok()?));
    Some((number(0)?, number(4)?))
}

/// The picture, decoded within limits and turned the way its camera meant.
fn decode(bytes: &[u8]) -> Result<DynamicImage> {
    let kind = check(bytes)?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(SIDE_MAX);
    limits.max_image_height = Some(SIDE_MAX);
    limits.max_alloc = Some(MEMORY_MAX);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), kind.into());
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(broken)?;
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut picture = DynamicImage::from_decoder(decoder).map_err(broken)?;
    picture.apply_orientation(orientation);
    Ok(picture)
}

/// The picture as PNG, possibly a part of it. A whole PNG stays as it is, byte for byte.
pub fn to_png(bytes: &[u8], crop: Option<Crop>) -> Result<Vec<u8>> {
    let kind = check(bytes)?;
    // Decoded in any case: what cannot be shown is refused while the person is looking.
    let picture = decode(bytes)?;
    match crop {
        None if kind == PictureKind::Png => Ok(bytes.to_vec()),
        None => encode_png(&picture),
        Some(crop) => encode_png(&cut_out(&picture, crop)?),
    }
}

fn cut_out(picture: &DynamicImage, crop: Crop) -> Result<DynamicImage> {
    if crop.x >= picture.width() || crop.y >= picture.height() {
        return Err(Error::invalid("bad_request", "The crop is outside of the picture. Nothing was changed."));
    }
    let width = crop.width.min(picture.width() - crop.x);
    let height = crop.height.min(picture.height() - crop.y);
    Ok(picture.crop_imm(crop.x, crop.y, width, height))
}

fn encode_png(picture: &DynamicImage) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    let encoder = PngEncoder::new_with_quality(&mut out, CompressionType::Default, FilterType::Adaptive);
    let plain = match picture.color().has_alpha() {
        true => DynamicImage::ImageRgba8(picture.to_rgba8()),
        false => DynamicImage::ImageRgb8(picture.to_rgb8()),
    };
    plain.write_with_encoder(encoder).map_err(Error::internal)?;
    Ok(out)
}

/// A JPEG of exactly this size: the middle of the picture, as much of it as fits.
pub fn thumbnail(bytes: &[u8], width: u32, height: u32, quality: u8) -> Result<Vec<u8>> {
    let picture = decode(bytes)?;
    let (across, down) = (u64::from(picture.width()), u64::from(picture.height()));
    let (wide, high) = (u64::from(width), u64::from(height));
    // The largest part of the right shape.
    let (part_width, part_height) =
        if across * high > down * wide { (down * wide / high, down) } else { (across, across * high / wide) };
    let (part_width, part_height) = (part_width.clamp(1, across) as u32, part_height.clamp(1, down) as u32);
    let part = picture.crop_imm(
        (picture.width() - part_width) / 2,
        (picture.height() - part_height) / 2,
        part_width,
        part_height,
    );
    drop(picture);
    let small = part.thumbnail_exact(width, height);
    let mut out = Vec::new();
    JpegEncoder::new_with_quality(&mut out, quality).encode_image(&on_ground(&small)).map_err(Error::internal)?;
    Ok(out)
}

/// The picture with see-through parts filled.
fn on_ground(picture: &DynamicImage) -> RgbImage {
    if !picture.color().has_alpha() {
        return picture.to_rgb8();
    }
    let seen = picture.to_rgba8();
    RgbImage::from_fn(seen.width(), seen.height(), |x, y| {
        let [red, green, blue, alpha] = seen.get_pixel(x, y).0;
        let mix = |value: u8| {
            let mixed = u32::from(value) * u32::from(alpha) + u32::from(BEHIND) * (255 - u32::from(alpha));
            (mixed / 255) as u8
        };
        Rgb([mix(red), mix(green), mix(blue)])
    })
}

fn broken(why: impl std::fmt::Display) -> Error {
    Error::invalid("not_an_image", format!("This picture cannot be read: {why}. Nothing was changed."))
}

fn too_large(width: u32, height: u32) -> Error {
    let message = format!(
        "This picture has {width} × {height} pixels; at most {SIDE_MAX} on a side and 40 million in all are taken. Nothing \
         was changed."
    );
    Error::new(Kind::TooLarge, "too_large", message)
}
