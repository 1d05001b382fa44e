<?php
/**
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What WordPress prepares for every page and this theme does not use: a third of an uncached page.
 */

namespace Perennial\Theme;

defined( 'ABSPATH' ) || exit;

/**
 * Tells whether a visitor asks for a page: no administration, no REST, no command, no scheduled work.
 */
function is_visit(): bool {
	return ! is_admin() && ! wp_doing_cron() && 'cli' !== PHP_SAPI && ! isset( $_GET['rest_route'] )
		&& ! str_contains( $_SERVER['REQUEST_URI'] ?? '', 'wp-json' );
}

/**
 * Drops styles that this theme replaces, everywhere: building the global styles costs a third of a page.
 */
function drop_styles(): void {
	remove_action( 'wp_enqueue_scripts', 'wp_enqueue_global_styles' );
	remove_action( 'wp_footer', 'wp_enqueue_global_styles', 1 );
	remove_action( 'wp_enqueue_scripts', 'wp_enqueue_classic_theme_styles' );
	remove_action( 'wp_enqueue_scripts', 'wp_enqueue_stored_styles' );
	remove_action( 'wp_footer', 'wp_enqueue_stored_styles', 1 );
	remove_filter( 'theme_mod_custom_logo', '_override_custom_logo_theme_mod' );
	remove_action( 'wp_body_open', 'wp_global_styles_render_svg_filters' );
	remove_action( 'wp_head', 'wp_print_auto_sizes_contain_css_fix', 1 );
	// It merges every theme.json to find fonts, of which this theme has none.
	remove_action( 'wp_head', 'wp_print_font_faces', 50 );
	add_filter( 'should_load_separate_core_block_assets', '__return_true' );
}

/**
 * Drops what only the administration, the editor or other themes use, from pages for visitors.
 */
function drop_preparations(): void {
	if ( ! is_visit() ) {
		return;
	}
	// Patterns and font collections are for the editor.
	remove_action( 'init', '_register_core_block_patterns_and_categories' );
	remove_action( 'init', '_register_theme_block_patterns' );
	remove_action( 'init', '_wp_register_default_font_collections' );
	// This theme has no place for widgets; those of plugins are registered all the same.
	remove_action( 'init', 'wp_widgets_init', 1 );
	add_action( 'init', __NAMESPACE__ . '\widgets_of_plugins', 1 );
	// What is to be done after a change of themes is done by the next request that is no visit.
	add_filter( 'pre_option_theme_switched', '__return_empty_string' );
	// Both make all scripts known, to look for some of the administration.
	remove_action( 'wp_enqueue_scripts', 'wp_localize_jquery_ui_datepicker', 1000 );
	remove_action( 'wp_print_scripts', 'wp_just_in_time_script_localization' );
	// Styles of a hundred blocks are made known with the first block; many pages have none.
	remove_action( 'init', 'register_core_block_style_handles', 9 );
	add_action( 'init', __NAMESPACE__ . '\begin_blocks_without_styles', 9 );
	add_action( 'init', __NAMESPACE__ . '\end_blocks_without_styles', 21 );
	add_filter( 'pre_render_block', __NAMESPACE__ . '\register_block_styles', 0, 2 );
}

/**
 * Keeps the registration of WordPress' own blocks from looking for the style of each.
 */
function begin_blocks_without_styles(): void {
	// Before: it decides by the same filter which style sheet all blocks share.
	wp_styles();
	add_filter( 'should_load_separate_core_block_assets', '__return_false', 99 );
}

/**
 * Ends what begin_blocks_without_styles() began.
 */
function end_blocks_without_styles(): void {
	remove_filter( 'should_load_separate_core_block_assets', '__return_false', 99 );
}

/**
 * Makes the styles of WordPress' own blocks known, once, before the first of them is rendered.
 *
 * @param string|null $rendered Passed through.
 * @param array       $block    Parsed block; text between blocks has no name.
 */
function register_block_styles( $rendered, array $block ) {
	if ( str_starts_with( $block['blockName'] ?? '', 'core/' ) ) {
		remove_filter( 'pre_render_block', __NAMESPACE__ . '\register_block_styles', 0 );
		register_core_block_style_handles();
		foreach ( \WP_Block_Type_Registry::get_instance()->get_all_registered() as $name => $type ) {
			$handle = 'wp-block-' . substr( $name, strlen( 'core/' ) );
			if ( str_starts_with( $name, 'core/' ) && wp_style_is( $handle, 'registered' ) ) {
				$type->style_handles = array( $handle );
			}
		}
	}
	return $rendered;
}

/**
 * Lets plugins register their widgets.
 */
function widgets_of_plugins(): void {
	do_action( 'widgets_init' );
}

add_action( 'after_setup_theme', __NAMESPACE__ . '\drop_styles' );
add_action( 'after_setup_theme', __NAMESPACE__ . '\drop_preparations' );
