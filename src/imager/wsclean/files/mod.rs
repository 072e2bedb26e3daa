//! Files and folders of wsclean: names, links, products.

mod folders;
pub(super) mod memory;
mod pieces;
mod planes;
mod products;

pub(super) use folders::{copy, fresh_folder, link, make_folder, remove_folder, rename};
pub(super) use pieces::{PREFIX, Piece, REUSED, link_pieces, main_piece, pieces};
pub(super) use planes::{assemble, divide, empty_model, mask_plane};
pub(super) use products::{channel_name, collect, link_models, products};
