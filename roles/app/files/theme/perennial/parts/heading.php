<?php
/**
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The one first-level heading of a list page.
 */

defined( 'ABSPATH' ) || exit;

if ( is_home() || is_front_page() ) {
	echo '<h1 class="screen-reader-text">' . esc_html__( 'Latest posts', 'perennial' ) . '</h1>';
	return;
}
?>
<header class="page-head">
	<?php if ( is_search() ) : ?>
		<?php /* translators: %s: search words. */ ?>
		<?php $perennial_title = __( 'Search results for “%s”', 'perennial' ); ?>
		<h1><?php echo esc_html( sprintf( $perennial_title, get_search_query( false ) ) ); ?></h1>
	<?php else : ?>
		<h1><?php echo wp_kses_post( get_the_archive_title() ); ?></h1>
		<?php the_archive_description(); ?>
	<?php endif; ?>
</header>
