<?php
/**
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Nothing at this address.
 */

defined( 'ABSPATH' ) || exit;

get_header();
?>
<div class="entry">
	<header class="page-head">
		<h1><?php esc_html_e( 'This page does not exist', 'perennial' ); ?></h1>
		<p><?php esc_html_e( 'It may have been moved or taken down.', 'perennial' ); ?></p>
	</header>
	<p>
		<a class="button" href="<?php echo esc_url( home_url( '/' ) ); ?>">
			<?php esc_html_e( 'Back to the home page', 'perennial' ); ?>
		</a>
	</p>
</div>
<?php
get_footer();
